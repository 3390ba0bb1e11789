"""Controller time: what pyinfra 3.10 works out again for every operation, fact and host, worked out once.

The results are the same; docs/performance.md has the figures, and the same as a patch for pyinfra itself.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable
from copy import copy
from functools import cache, wraps
from types import SimpleNamespace
from typing import Any

import pyinfra
from pyinfra.api import State, arguments, connectors, facts, util
from pyinfra.api.host import Host


def _with_merged_data(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let the host's layers of data be merged once a call: `original` looks each of 30 arguments up in all of them."""

    @wraps(original)
    def pop_global_arguments(state: State, host: Host, kwargs: dict[str, Any]) -> Any:
        data, merged = host.data, host.data.dict()  # type: ignore[no-untyped-call]
        values = {key: copy(merged[key]) for key, _ in arguments.all_global_arguments() if key in merged}
        # Nothing else runs meanwhile: this is plain computing, and gevent switches where something waits.
        host.data = SimpleNamespace(**values)  # type: ignore[assignment]
        try:
            return original(state, host, kwargs)
        finally:
            host.data = data

    return pop_global_arguments


def _order(state: State) -> list[int]:
    """Return what `util.get_operation_order_from_stack` does, which looks for the source of every line on the stack.

    The lines that lead to an operation, from the deploy's file on; lines within pyinfra do not count.
    """
    lines: list[tuple[str, int]] = []
    frame = sys._getframe(1)
    while frame is not None:
        lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    lines.reverse()
    files = [name for name, _ in lines]
    if state.current_deploy_filename:
        lines = lines[files.index(state.current_deploy_filename) :] if state.current_deploy_filename in files else []
    number = [state.current_op_file_number] if pyinfra.is_cli else []
    return number + [line for name, line in lines if not name.startswith(util.PYINFRA_INSTALL_DIR)]


def install() -> None:
    """Put it into pyinfra. Calling it again changes nothing."""
    if hasattr(arguments.pop_global_arguments, "__wrapped__"):
        return
    # Python looks for rings among all objects when it ends: a tenth of a run that changes nothing.
    atexit.register(gc.freeze)
    # The annotations of one fixed class, evaluated from text each time.
    known = cache(arguments.all_global_arguments)
    for module in (arguments, facts):
        module.all_global_arguments = known  # type: ignore[attr-defined]
    # The entry points of all installed packages, read from disk for every host.
    connectors.entry_points = cache(connectors.entry_points)
    # The imports of a file of group data, parsed from its source again for every name in it.
    if inventory := sys.modules.get("pyinfra_cli.inventory"):
        inventory._get_imported_names = cache(inventory._get_imported_names)  # type: ignore[attr-defined]
    pop = _with_merged_data(arguments.pop_global_arguments)
    sys.modules["pyinfra.api.operation"].get_operation_order_from_stack = _order  # type: ignore[attr-defined]
    # pyinfra.api has functions named as these modules are.
    for name in ("arguments", "deploy", "facts", "operation"):
        sys.modules[f"pyinfra.api.{name}"].pop_global_arguments = pop  # type: ignore[attr-defined]
