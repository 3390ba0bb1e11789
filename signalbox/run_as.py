"""Commands as a user of the host, from root, with the environment that the user's own services have."""

from __future__ import annotations

import shlex

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def run_as(user: str, home: str, script: str) -> str:
    """Return the shell command that runs `script` (POSIX sh) as `user`, in `home`, with nothing inherited.

    XDG_RUNTIME_DIR and DOCKER_HOST are those of the user's systemd manager: a plain `sudo -u` or `su` has
    neither and cannot reach the user's bus or rootless Docker.
    """
    prologue = (
        "export XDG_RUNTIME_DIR=/run/user/$(id -u) && export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock && cd && "
    )
    environment = f"HOME={home} USER={user} LOGNAME={user} PATH={home}/.local/bin:{SYSTEM_PATH} LANG=C.UTF-8"
    return f"{_become(user)}env -i {environment} sh -c {shlex.quote(prologue + script)}"


def as_owner(user: str, script: str) -> str:
    """Return the root command that runs `script` (POSIX sh) with the rights of `user` and no more; stdin is passed on.

    What a user owns is written as that user: root would follow the links that an agent may have laid in its home.
    """
    if user == "root":
        return f"( {script} )"
    return f"( cd / && {_become(user)}sh -c {shlex.quote(script)} )"


def _become(user: str) -> str:
    if user == "root":
        return ""
    # Not runuser: that opens a PAM session each time, which costs three times as much and writes two lines of journal.
    return f'setpriv --reuid={user} --regid="$(id -g {user})" --init-groups -- '
