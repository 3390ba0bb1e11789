"""sudo's password reaches a host over stdin, into a file that only its user reads.

pyinfra writes it into the command (`env PYINFRA_SUDO_PASSWORD=… sudo -A …`), where every user of the host can
read it in the list of processes (pyinfra 3.10.0, connectors/util.py, make_unix_command).
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import ssh
from pyinfra.connectors.util import make_unix_command_for_host

# Takes the password's place in the command; pyinfra only asks whether there is one.
_PLACEHOLDER = "in-askpass-file"
_PATH = re.compile(r"/[\w./-]{1,200}/signalbox-askpass-\w{8}")
# Memory-backed, and gone with the user's last session if nobody gets to remove it.
_CREATE = (
    'umask 077 && f=$(mktemp "${XDG_RUNTIME_DIR:-/dev/shm}/signalbox-askpass-XXXXXXXX")'
    ' && cat > "$f" && chmod 700 "$f" && echo "$f"'
)


def _askpass_path(host: Host, password: str) -> str:
    path = host.connector_data.get("signalbox_askpass")
    if path is None:
        script = f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(password)}\n"
        done, output = host.run_shell_command(StringCommand(_CREATE), _stdin=script)
        # A shell may greet before, and what it says is made part of commands.
        path = next(filter(_PATH.fullmatch, output.stdout_lines), None) if done else None
        if path is None:
            raise ConnectError(f"the host keeps no file for sudo's password: {output.stderr}")
        host.connector_data["signalbox_askpass"] = path
    return str(path)


def _without_password(state: State, host: Host, command: StringCommand, **arguments: Any) -> StringCommand:
    password = arguments.get("_sudo_password") or host.connector_data.get("prompted_sudo_password")
    if arguments.get("_sudo") and password:
        path = _askpass_path(host, password)
        # Where pyinfra looks for its own askpass file before it makes one; it also removes it on disconnect.
        directory = arguments.get("_temp_dir") or host.get_temp_dir_config()  # type: ignore[no-untyped-call]
        host.connector_data[f"sudo_askpass_path__{directory}"] = path
        arguments["_sudo_password"] = _PLACEHOLDER
    return make_unix_command_for_host(state, host, command, **arguments)


def install() -> None:
    """Make the SSH connector build its commands without passwords. Calling it again changes nothing."""
    ssh.make_unix_command_for_host = _without_password
