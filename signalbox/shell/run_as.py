"""Commands as a user of the host, from root, with the environment that the user's own services have."""

from __future__ import annotations

from signalbox.shell import Script, sh

# The system's programs alone: what a user put before them would answer in their place.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
PATIENCE = 300  # seconds for a user's own manager to start or stop what it shall
WRITING = 120  # seconds in which a user's files are written; a pipe in their place would hold root's run up for ever


def run_as(user: str, home: str, script: Script, *, seconds: int | None = None) -> Script:
    """Return the shell command that runs `script` (POSIX sh) as `user`, in `home`, with nothing inherited.

    seconds: after so many it is ended, with status 124; for what asks the user's own manager, which may not answer.

    XDG_RUNTIME_DIR and DOCKER_HOST are those of the user's systemd manager: a plain `sudo -u` or `su` has
    neither and cannot reach the user's bus or rootless Docker.
    """
    prologue = sh(
        "export XDG_RUNTIME_DIR=/run/user/$(id -u) && export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock && cd && "
    )
    return sh(
        "{bounded}{become}env -i HOME={home} USER={user} LOGNAME={user} PATH={path} LANG=C.UTF-8 sh -c {script}",
        bounded=sh("timeout -k 5 {} ", seconds) if seconds else Script(""),
        become=_become(user),
        home=home,
        user=user,
        path=SYSTEM_PATH,
        script=str(prologue + script),
    )


def as_owner(user: str, script: Script) -> Script:
    """Return the root command that runs `script` (POSIX sh) with the rights of `user` and no more; stdin is passed on.

    What a user owns is written as that user: root would follow the links that an agent may have laid in its home.
    """
    if user == "root":
        return sh("( {} )", script)
    return sh("( cd / && timeout -k 5 {} {}sh -c {} )", WRITING, _become(user), str(script))


def _become(user: str) -> Script:
    if user == "root":
        return Script("")
    # Not runuser: that opens a PAM session each time, which costs three times as much and writes two lines of journal.
    return sh('setpriv --reuid={user} --regid="$(id -g {user})" --init-groups -- ', user=user)
