"""Which host, how it is reached, and whether it is one that can be used."""

from __future__ import annotations

import re
from pathlib import Path

from signalbox.init import help_texts, host, ssh_keys
from signalbox.init.probe_results import Machine
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.questions import in_use
from signalbox.init.validators import shown, split_address
from signalbox.secrets import Secret
from signalbox.settings.layers import defaults

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def address(given: str, known: Known) -> str:
    """A host that answers with an SSH key, which is not another than known_hosts has."""
    if "://" in given or "@" in given or "/" in given:
        raise WrongAnswerError(f"{shown(given)} is more than an address; write it alone, such as 192.168.1.10")
    where, port = split_address(given)
    if where in LOOPBACK:
        raise WrongAnswerError(f"{where} is this machine; write the address of the host that is to run Claude Code")
    known.host_key = host.host_key(where, port)
    seen = host.known_key(where, port)
    if seen not in (None, known.host_key.fingerprint):
        known.host_key = None
        name = where if port == 22 else f"[{where}]:{port}"
        raise WrongAnswerError(
            f"{where} shows another key than your known_hosts has: it was installed anew, or somebody else answers. If "
            f"you know that it was, run ssh-keygen -R {name}, then answer again"
        )
    return given


def fingerprint(given: str, known: Known) -> str:
    """The host's fingerprint is what the person expects: by a yes, or by what is written on its console."""
    assert known.host_key is not None
    there = known.host_key.fingerprint
    if given.lower() in ("y", "yes"):
        return there
    if given.lower() in ("n", "no"):
        raise WrongAnswerError("then another machine answers there; write the right address", again="host")
    if given == there or given == there.removeprefix("SHA256:"):
        return there
    if re.fullmatch(r"(SHA256:)?[A-Za-z0-9+/]{43}=?", given):
        raise WrongAnswerError(
            f"the host shows {there}, not this: another machine may answer there; compare again, or write no"
        )
    raise WrongAnswerError(f"{shown(given)} is neither yes nor no nor a fingerprint such as {there}")


def user(given: str, _: Known) -> str:
    """A user's name."""
    if not re.fullmatch(r"[a-z_][-a-z0-9_.]{0,31}", given):
        raise WrongAnswerError(f"{shown(given)} is no user's name; write root, or one such as admin")
    return given


def ssh_key(given: str, known: Known) -> str:
    """A key of this person, made if need be; whether the host takes it is known afterwards."""
    if given.lower() == ssh_keys.NEW:
        path = ssh_keys.make()
        given = f"~/.ssh/{path.name}"
    else:
        path = ssh_keys.checked(given)
    try:
        with host.login(target(known), path) as client:
            _judged(host.look(client), known)
        known.locked_out = False
    except host.KeyRefusedError:
        known.locked_out = True
    return given


def install_password(given: str, known: Known) -> str:
    """A password with which the key is installed; then the key alone must do."""
    path = Path(known.answers["ssh_key"]).expanduser()
    who = known.answers["ssh_user"]
    try:
        if not _lets_in(path, known):  # somebody may have installed it by hand meanwhile
            with host.login(target(known), None, Secret(given)) as client:
                host.install_key(client, ssh_keys.public_half(path))
    except host.KeyRefusedError:
        if who == "root":  # which Debian lets in by key alone, so that no password would do
            raise WrongAnswerError(
                "the host does not let root in with this password; write an admin user with sudo, or root again once "
                "the key is installed on its console",
                again="ssh_user",
            ) from None
        raise WrongAnswerError(f"the host does not take this password for {who}; write it again") from None
    try:
        with host.login(target(known), path) as client:
            _judged(host.look(client), known)
    except host.KeyRefusedError:
        raise WrongAnswerError(
            "the key is in ~/.ssh/authorized_keys there, and sshd does not take it; look at the permissions of the "
            "home directory and at PubkeyAuthentication",
            again="ssh_key",
        ) from None
    known.locked_out = False
    return ""


def _lets_in(path: Path, known: Known) -> bool:
    try:
        with host.login(target(known), path):
            return True
    except host.KeyRefusedError:
        return False


def sudo_password(given: str, known: Known) -> str:
    """A password that sudo takes."""
    path, who = Path(known.answers["ssh_key"]).expanduser(), known.answers["ssh_user"]
    with host.login(target(known), path) as client:
        said = host.with_sudo(client, Secret(given))
    if said == "forbidden":
        raise WrongAnswerError(
            f"{who} has this password, and may not use sudo there; write root, or a user with sudo", again="ssh_user"
        )
    if said == "refused":
        raise WrongAnswerError(f"sudo does not take this password of {who}; write it again")
    return ""


def target(known: Known) -> host.Target:
    """Return where the answers so far lead."""
    assert known.host_key is not None
    where, port = split_address(known.answers["host"])
    return host.Target(where, port, known.answers["ssh_user"], known.host_key)


def _judged(machine: Machine, known: Known) -> None:
    if (machine.system, machine.version) != ("debian", "13"):
        raise WrongAnswerError(
            f"this is {machine.title}, and Signalbox is for Debian 13; install that, or write another host",
            again="host",
        )
    if machine.sudo == "none":
        raise WrongAnswerError(
            f"{known.answers['ssh_user']} is not root and has no sudo there; write root, or a user with sudo",
            again="ssh_user",
        )
    wanted = defaults()["preflight"]
    for name, has, unit in (("memory", machine.memory, "min_memory_mib"), ("disk", machine.disk, "min_disk_mib")):
        if has < wanted[unit]:
            raise WrongAnswerError(
                f"it has {has} MiB of {'memory' if name == 'memory' else 'free disk'}, and needs {wanted[unit]} "
                f"(preflight.{unit}); give it more, or write another host",
                again="host",
            )
    known.machine = machine


QUESTIONS = (
    Question(
        id="host",
        words="Address of the Debian 13 host that is to run Claude Code",
        example="192.168.1.10",
        more="A machine or VM with Debian 13, 4 CPUs, 16 GB of memory, 80 GB of disk, which this one reaches by SSH. "
        "With another SSH port: 192.168.1.10:2222. `ip -brief address` on its console tells its address.",
        check=address,
    ),
    Question(
        id="fingerprint",
        words=lambda known: (
            f"It shows the key {known.host_key.fingerprint if known.host_key else ''}. Is it the host's? (yes, no, or "
            "its fingerprint)"
        ),
        example="yes",
        more="On the host's console, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` tells the right one. It is "
        "written to inventory.py, and no other is accepted from then on.",
        check=fingerprint,
    ),
    Question(
        id="ssh_user",
        words="Log in there as",
        example="root, or an admin user with sudo",
        default="root",
        check=user,
        more="Deploys come as this user. Claude Code runs as another one, `claude`, which is made.",
    ),
    Question(
        id="ssh_key",
        words="Your SSH key (its private file; `new` makes one)",
        example="~/.ssh/id_ed25519",
        default=lambda _: ssh_keys.usual(),
        more="Keys are in ~/.ssh, on Windows in C:\\Users\\<you>\\.ssh, which WSL has as /mnt/c/Users/<you>/.ssh: copy "
        "it to ~/.ssh, and chmod 600 it. `new` makes ~/.ssh/id_ed25519, without a passphrase; by hand it is made by "
        "`ssh-keygen -t ed25519`, also in PowerShell. `ssh-keygen -p -f ~/.ssh/id_ed25519` gives it "
        "a passphrase, and ssh-agent then holds it for deploys. A .ppk of PuTTY is exported in PuTTYgen: Conversions, "
        "Export OpenSSH key.",
        check=ssh_key,
    ),
    Question(
        id="install_password",
        words=lambda known: (
            f"The host does not take this key yet. Password of {known.answers.get('ssh_user')} there, to install it"
        ),
        example="the one with which you log in there now; it is not shown",
        more=help_texts.install_by_hand,
        check=install_password,
        when=lambda known: known.locked_out,
        secret=lambda _: "SIGNALBOX_HOST_PASSWORD",
    ),
    Question(
        id="sudo_password",
        words=lambda known: (
            f"Password of {known.answers.get('ssh_user')} for sudo (kept in the encrypted secrets file)"
        ),
        example="the one that sudo asks you for there; it is not shown",
        more="Deploys need it. Without one: `echo '<user> ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/<user>` as root.",
        check=sudo_password,
        when=lambda known: known.machine is not None and known.machine.sudo == "password",
        secret=lambda _: "ADMIN_SUDO",
    ),
    *in_use.QUESTIONS,
)
