"""What an operation's name promises, where another file than ours may have the last word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import FactBase, operation

from signalbox.engine.changes import differs
from signalbox.facts.in_effect import Effective
from signalbox.operations.commands import Commands
from signalbox.shell import Script, sh


def refused(message: str) -> Script:
    """Return shell that says so and fails: what is a person's is named, and not changed."""
    return sh("{{ printf '%s\\n' {} >&2; false; }}", message)


@operation()
def in_effect(
    what: str, ours: str, wanted: Mapping[str, str], fact: type[FactBase[Effective]], **arguments: Any
) -> Commands:
    """Have no file that is read after `ours`, a path, stand against `wanted`; one that does is told, and left.

    + wanted: values by name. fact, arguments: what is in effect.
    """
    found = host.get_fact(fact, **arguments)
    others = {
        name: found[name]
        for name, value in wanted.items()
        if name in found and found[name].value != value and found[name].file > ours.rpartition("/")[2]
    }
    if not others:
        host.noop(f"nothing stands against {what}")
        return
    for name, each in others.items():
        differs(f"{what}, {name}", each.value or "unset", wanted[name])
    said = "; ".join(f"{each.path} makes {name} {each.value or 'unset'}" for name, each in others.items())
    yield refused(f"{what}: {said}. Signalbox did not place that: take it out there, or write the same in the settings")
