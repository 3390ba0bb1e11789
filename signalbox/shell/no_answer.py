"""Why a login runs nothing: what a host says in place of an answer, and what its owner does about it.

sshd lets somebody in, and then the account, the key's own command, the shell's files or sudo keep every command from
being run. Each has its own words, and no command of ours is needed to tell them.
"""

from __future__ import annotations

import re
import shlex

from signalbox.host.shared.output import shown
from signalbox.shell.script import sh

WORD = "signalbox-here"  # in two halves in the command: a shell that repeats what it is given has not run it
# With a line end in it, as most commands of a deploy have.
PROBE = sh("sh -c ':\nprintf \"\\n%s-%s\\n\" signalbox here'")
MAX_BYTES = 64 * 1024  # of what is looked at
_SHOWN = 120  # letters of a host's own words
_CLOUD = re.compile(r'login as the user "?([a-z_][a-z0-9_.-]{0,31})"? rather than', re.ASCII | re.IGNORECASE)


def answered(output: str) -> bool:
    """Tell whether a shell has run PROBE."""
    return any(line.rstrip("\r") == WORD for line in output.split("\n"))


def why(output: str, user: str, address: str) -> str:
    """Return why PROBE was not run, with the next step, from what came in its place on both streams.

    user: as whom the login was. address: of the host, as ssh(1) takes it.
    """
    said = " ".join(output[:MAX_BYTES].split())
    if re.search(r"password has expired|required to change your password|password change required", said, re.I):
        return (
            f"{user}'s password there has expired, and sshd runs nothing before it is changed; log in once by hand"
            f" (ssh {user}@{shlex.quote(address)}) and change it, or at the console: chage -d -1 {user}"
        )
    if re.search(r"account (\S+ )?(has|is) expired", said, re.I):
        return f"the account {user} has expired there; as root, at the console: chage -E -1 {user}"
    if cloud := _CLOUD.search(said):
        return (
            f'the image there wants you to log in as "{cloud[1]}" and not as {user}; write "ssh_user": "{cloud[1]}" and'
            ' "connection": {"sudo": True} for this host in the inventory'
        )
    if re.search(r"account is currently not available|/nologin|/bin/false", said):
        return (
            f"{user} may not log in there: its shell is nologin; give it one (chsh -s /bin/bash {user}, as root), or"
            " log in as another user (ssh_user, connection.sudo = True)"
        )
    if re.search(r"must have a tty|no tty present and no askpass|requiretty", said):
        return (
            f"sudo there wants a terminal, which a deploy has not; write `Defaults:{user} !requiretty` into"
            f" /etc/sudoers.d/signalbox-{user} (visudo -f /etc/sudoers.d/signalbox-{user})"
        )
    if re.search(r"sudo: (.*: )?(a password is required|a terminal is required)", said):
        return (
            f"sudo there asks {user} for a password; name the secret that holds it in connection.sudo_password, or let"
            f" {user} do without (NOPASSWD in /etc/sudoers.d)"
        )
    if re.search(r"not in the sudoers file|may not run sudo|not allowed to execute", said):
        return (
            f"{user} may not use sudo there; let it (as root: usermod -aG sudo {user}), or log in as another user"
            " (ssh_user)"
        )
    if re.search(r"sudo: (command )?not found|: sudo: not found", said):
        return "there is no sudo there; install it as root (apt install sudo), or log in as root (ssh_user)"
    if "Unmatched '" in said:
        return (
            f"{user}'s login shell there is csh or tcsh, which cannot read the commands of a deploy; give {user}"
            f" another one (chsh -s /bin/bash {user}), or log in as another user (ssh_user, connection.sudo = True)"
        )
    if re.search(r"\bsh: (command )?not found|no such file or directory.*\bsh\b", said, re.I):
        return f"the login of {user} finds no sh there; look at the PATH that its shell's files set"
    if not said:
        return (
            f"{user}'s shell there ends without running a command, so nothing can be asked or done; look at what"
            " ~/.bashrc and its like run: `exit`, `exec` or a terminal's program may stand there for sessions at a"
            " terminal alone"
        )
    return (
        f'the login of {user} runs something else than what it is asked, and says "{shown(said[:_SHOWN])}": a command='
        " before this key in ~/.ssh/authorized_keys there, ForceCommand of sshd's, or what ~/.bashrc and its like"
        " start; take it out, or let another key in"
    )
