"""What root's shell says or does before it comes to a command."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State

_FIRST = "f=/root/.bashrc; { cat; cat $f; } > /root/new && mv /root/new $f"
ENDS = (
    "root's shell there ends without running a command, so nothing can be asked or done; look at what ~/.bashrc"
    " and its like run: `exit`, `exec` or a terminal's program may stand there for sessions at a terminal alone"
)

STATES = (
    State(
        "noisy-shell",
        "~/.bashrc of root greets everybody, also who only runs a command",
        "https://github.com/ansible/ansible/issues/2268",
        f"echo 'echo Welcome to our server' | ({_FIRST})",
    ),
    State(
        "noisy-without-newline",
        "~/.bashrc prints a prompt of its own, without a line end, and a word when the shell ends",
        "https://github.com/ansible/ansible/pull/15337",
        f"printf '%s\\n' 'printf \"host ready> \"' \"trap 'printf bye' EXIT\" | ({_FIRST})",
    ),
    State(
        "noisy-neofetch",
        "~/.bashrc shows a picture in colours: 300 lines, with what is no UTF-8 and lines like JSON",
        "https://github.com/ansible/ansible/issues/15982",
        "printf '%s\\n' 'for i in $(seq 150); do printf \"\\033[31m\\377\\n{\\\"host\\\": 1}\\r\\n\"; done'"
        f" 'echo to-stderr >&2' | ({_FIRST})",
    ),
    State(
        "shell-ends",
        "~/.bashrc ends a shell that has no prompt",
        UNREPORTED,
        f"echo '[ -n \"$PS1\" ] || exit 0' | ({_FIRST})",
        "refused",
        (ENDS,),
        "sed -i 1d /root/.bashrc",
    ),
    State(
        "shell-is-tmux",
        "~/.bashrc puts every session into a terminal's program",
        UNREPORTED,
        f"apt-get -q update && apt-get -yq install tmux && echo 'exec tmux' | ({_FIRST})",
        "refused",
        (
            'the login of root runs something else than what it is asked, and says "open terminal failed: not a'
            " terminal\": a command= before this key in ~/.ssh/authorized_keys there, ForceCommand of sshd's, or what"
            " ~/.bashrc and its like start; take it out, or let another key in",
        ),
        "sed -i 1d /root/.bashrc",
    ),
    State(
        "shell-csh",
        "root's login shell is tcsh",
        "https://github.com/ansible/ansible/issues/14309",
        "apt-get -q update && apt-get -yq install tcsh && chsh -s /bin/tcsh root",
        "refused",
        (
            "root's login shell there is csh or tcsh, which cannot read the commands of a deploy; give root"
            " another one (chsh -s /bin/bash root), or log in as another user (ssh_user, connection.sudo = True)",
        ),
        "chsh -s /bin/bash root",
    ),
    State(
        "shell-zsh",
        "root's login shell is zsh, with a ~/.zshenv that greets",
        UNREPORTED,
        "apt-get -q update && apt-get -yq install zsh && chsh -s /usr/bin/zsh root"
        " && echo 'echo zsh is here' > /root/.zshenv",
    ),
    State(
        "shell-nologin",
        "root's shell is nologin, as hardening guides have it",
        UNREPORTED,
        "chsh -s /usr/sbin/nologin root",
        "refused",
        (
            "root may not log in there: its shell is nologin; give it one (chsh -s /bin/bash root, as root), or log in"
            " as another user (ssh_user, connection.sudo = True)",
        ),
        "usermod -s /bin/bash root",
    ),
    State(
        "umask-077",
        "~/.bashrc and login.defs have umask 077, as hardening guides have it",
        UNREPORTED,
        f"echo 'umask 077' | ({_FIRST}); sed -i 's/^UMASK.*/UMASK 077/' /etc/login.defs",
        sections=("rootless_docker", "gateway", "toolchain", "launchers", "secrets", "doctor"),
    ),
    State(
        "locale-missing",
        "/etc/default/locale and ~/.bashrc name a language that is not there, so that every program complains",
        UNREPORTED,
        f"echo LANG=de_DE.UTF-8 > /etc/default/locale; echo 'export LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8' | ({_FIRST})",
    ),
    State(
        "tmpdir-gone",
        "~/.bashrc has TMPDIR at a directory that is gone",
        UNREPORTED,
        f"echo 'export TMPDIR=/mnt/scratch/tmp' | ({_FIRST})",
    ),
)
