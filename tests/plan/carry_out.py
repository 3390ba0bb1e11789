"""Runs pyinfra's command line on an inventory of simulated hosts and tells what it did, as JSON in a file.

`python carry_out.py TOLD INVENTORY deploy.py …` writes to TOLD: each host's operations, and the commands that were
sent to it, unmasked, with what went over stdin apart. It is a program of its own because pyinfra's command line
patches the process it runs in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyinfra.api import State
from pyinfra.api.command import StringCommand
from pyinfra.connectors.fake import FakeConnector
from pyinfra.context import ctx_state
from pyinfra_cli.cli import cli  # first: it patches the process

from signalbox.engine.changes import wanted

sent: dict[str, list[dict[str, str]]] = {}
_original = FakeConnector.run_shell_command


def _recorded(self: FakeConnector, command: str | StringCommand, *arguments: Any, **more: Any) -> Any:
    stdin = more.get("_stdin")
    raw = command if isinstance(command, str) else command.get_raw_value()
    sent.setdefault(self.host.name, []).append({"command": raw, "stdin": str(stdin or "")})
    return _original(self, command, *arguments, **more)


def _told(state: State) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for host in state.inventory:
        operations = []
        for each in state.get_op_order():
            if each not in state.ops[host]:
                continue
            meta, arguments = state.op_meta[each], state.get_op_data_for_host(host, each).global_arguments
            operations.append(
                {
                    "names": sorted(meta.names),
                    "arguments": [str(argument) for argument in meta.args],
                    "sudo": bool(arguments.get("_sudo")),
                    "sudo_password": bool(arguments.get("_sudo_password")),
                }
            )
        told[host.name] = {"operations": operations, "sent": sent.get(host.name, []), "wanted": sorted(wanted(host))}
    return told


def main() -> None:
    """Carry out and tell; ends with pyinfra's own exit status."""
    FakeConnector.run_shell_command = _recorded  # type: ignore[method-assign]
    try:
        cli(sys.argv[2:], standalone_mode=False)
    finally:
        Path(sys.argv[1]).write_text(json.dumps(_told(ctx_state.get())))


if __name__ == "__main__":
    main()
