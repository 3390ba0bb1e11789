"""What a dry run of pyinfra's expects of an operation: whether it will change something, and what that hangs on."""

from __future__ import annotations

from typing import Any, Literal

from pyinfra.api import State
from pyinfra.api.operation import OperationMeta

Certainty = Literal["will", "may", "unknown"]


def named(state: State, op_hash: str) -> tuple[str, str]:
    """Return the task and the name of an operation; "" for one outside of a task."""
    name = " / ".join(sorted(state.op_meta[op_hash].names))
    task, separator, operation = name.partition(" | ")
    return (task, operation) if separator else ("", name)


def certainty_of(
    state: State, meta: OperationMeta, conditions: Any, moving: set[str]
) -> tuple[Certainty | None, tuple[str, ...]]:
    """Return how sure a change is (None: there will be none), and the operations that it waits for."""
    if not meta._maybe_is_change:
        return ("unknown", ()) if meta._maybe_is_change is None else (None, ())
    if not conditions:
        return "will", ()
    because = []
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        trigger = getattr(condition, "__self__", None)
        if not isinstance(trigger, OperationMeta) or condition.__name__ not in ("did_change", "will_change"):
            return "unknown", ()
        if trigger._hash not in moving:
            return None, ()
        because.append(" | ".join(filter(None, named(state, trigger._hash))))
    return "may", tuple(because)
