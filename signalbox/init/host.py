"""The host over SSH, before any deploy: its key, a login, and what it is. Nothing but `install_key` changes it."""

from __future__ import annotations

import base64
import hashlib
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import paramiko

from signalbox.desired.packages import ROOT_DOCKER, packages
from signalbox.engine import transport
from signalbox.facts.before import Listeners, RootEngine
from signalbox.facts.packages import Transaction
from signalbox.init.probe_results import HostKey, Machine
from signalbox.init.question import WrongAnswerError
from signalbox.secrets import Secret
from signalbox.settings import Settings
from signalbox.settings.layers import defaults
from signalbox.settings.settings import sections
from signalbox.shell import no_answer
from signalbox.shell.answer import MAX_BYTES, HostFact, UnreadableError, heard, said
from signalbox.shell.manifest import STATE

Told = TypeVar("Told")

transport.mend()
_SECONDS = 10.0  # for a connection, a handshake, a login
_COMMAND_SECONDS = 30

# One line a fact; a program that is missing must read as an answer.
_LOOK = """. /etc/os-release 2>/dev/null
printf 'system=%s\\nversion=%s\\ntitle=%s\\n' "$ID" "$VERSION_ID" "$PRETTY_NAME"
printf 'architecture=%s\\n' "$(uname -m)"
printf 'memory=%s\\n' "$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)"
printf 'disk=%s\\n' "$(df -Pm / | awk 'END {print $4}')"
if [ "$(id -u)" = 0 ]; then echo sudo=root
elif ! command -v sudo >/dev/null; then echo sudo=none
elif sudo -n true 2>/dev/null; then echo sudo=free
else echo sudo=password; fi
"""


class KeyRefusedError(Exception):
    """The host does not take this key, or not this password."""


@dataclass(frozen=True)
class Target:
    """Where to log in and as whom; `key` is the host's own, and no other is accepted."""

    address: str
    port: int
    user: str
    key: HostKey


def host_key(address: str, port: int) -> HostKey:
    """Ask a host for its SSH key, as ssh-keyscan does.

    Raises:
        WrongAnswerError: nobody answers there, or no SSH server does.
    """
    try:
        connection = socket.create_connection((address, port), timeout=_SECONDS)
    except socket.gaierror:
        raise WrongAnswerError(
            f"the name {address} is not known here; write the host's address, such as 192.168.1.10"
        ) from None
    except TimeoutError:
        raise WrongAnswerError(
            f"{address} does not answer within {_SECONDS:.0f} s; is it on, and is the address right?"
        ) from None
    except OSError as error:
        raise WrongAnswerError(
            f"{address} does not let us in at port {port} ({error.strerror}); start sshd there (apt install "
            f"openssh-server), or write its port, as in {address}:2222"
        ) from None
    transport = paramiko.Transport(connection)
    transport.banner_timeout = _SECONDS
    try:
        transport.start_client(timeout=_SECONDS)
        key = transport.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError):
        raise WrongAnswerError(
            f"what answers at {address}, port {port}, does not speak SSH; write the port of its sshd, as in "
            f"{address}:2222"
        ) from None
    finally:
        transport.close()
    return HostKey(f"{key.get_name()} {key.get_base64()}", fingerprint(key.asbytes()))


def fingerprint(key: bytes) -> str:
    """Return a key's fingerprint as OpenSSH tells it: "SHA256:…"."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def known_key(address: str, port: int) -> str | None:
    """Return the fingerprint that this person's known_hosts has for a host; None: it has none."""
    known = paramiko.HostKeys()
    with suppress(OSError):
        known.load(str(Path("~/.ssh/known_hosts").expanduser()))
    found = known.lookup(address if port == 22 else f"[{address}]:{port}")
    if not found:
        return None
    keys = [found[kind] for kind in found]
    preferred = next((key for key in keys if key.get_name() == "ssh-ed25519"), keys[0])
    return fingerprint(preferred.asbytes())


@contextmanager
def login(target: Target, key: Path | None, password: Secret | None = None) -> Iterator[paramiko.SSHClient]:
    """Log in with a key file (None: with the keys of ssh-agent), or with a password.

    Raises:
        KeyRefusedError: the host refuses it.
        WrongAnswerError: the host is not there any more, or is another.
    """
    client = paramiko.SSHClient()
    kind, text = target.key.line.split()
    address = target.address if target.port == 22 else f"[{target.address}]:{target.port}"
    client.get_host_keys().add(address, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(text)))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.connect(
            target.address,
            target.port,
            target.user,
            password=password.reveal() if password else None,
            key_filename=str(key) if key and password is None else None,
            allow_agent=password is None,
            look_for_keys=False,
            timeout=_SECONDS,
            banner_timeout=_SECONDS,
            auth_timeout=_SECONDS,
        )
    except paramiko.BadHostKeyException:
        raise WrongAnswerError(f"{target.address} has another key than a moment ago; look who answers there") from None
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException):
        client.close()
        raise KeyRefusedError from None
    except paramiko.SSHException as error:
        client.close()
        if "authentication methods" in str(error).lower():
            raise KeyRefusedError from None
        raise WrongAnswerError(
            f"{target.address}: the login broke off ({error}); after failed logins sshd answers nobody for some "
            "seconds, so wait a little, then answer again"
        ) from None
    except (OSError, EOFError) as error:
        client.close()
        raise WrongAnswerError(f"{target.address}: the connection broke off ({error}); try again") from None
    try:
        yield client
    finally:
        client.close()


def look(client: paramiko.SSHClient) -> Machine:
    """Return what kind of machine this is."""
    lines = run(client, _LOOK).splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    deployed = run(client, f"test -d {shlex.quote(STATE)} && echo deployed").strip()
    return Machine(
        system=told.get("system", ""),
        version=told.get("version", ""),
        title=told.get("title") or "an unknown system",
        architecture=told.get("architecture", ""),
        memory=_number(told.get("memory", "")),
        disk=_number(told.get("disk", "")),
        sudo=told.get("sudo", "none"),
        **({} if deployed else _used(client)),
    )


def _used(client: paramiko.SSHClient) -> dict[str, Any]:
    """Return what of a person's a deploy would shut, take away or stop."""

    def asked(fact: HostFact[Told], *arguments: object) -> Told:
        return fact.process(run(client, str(fact.command(*arguments))).split("\n"))

    names = ("base", "rootless_docker", "service_user", "firewall", "ssh", "fail2ban", "hardening", "launchers")
    shipped = SimpleNamespace(**sections([("group_data/all.py", defaults())], "host", names))
    try:
        listening = asked(Listeners())
        would = asked(Transaction(), tuple(packages(cast(Settings, shipped))))
        engine = asked(RootEngine(), ROOT_DOCKER)
    except UnreadableError as error:
        raise WrongAnswerError(f"the host does not tell what it is used for ({error}); try again") from None
    return {
        "listening": tuple(each for each in listening if not each.passing),
        "giving_way": tuple(would.removed),
        "containers": engine.containers,
    }


def install_key(client: paramiko.SSHClient, public: str) -> None:
    """Let a public key log in as the user of this login; one that may already stays as it is.

    Raises:
        WrongAnswerError: the host says why it could not.
    """
    # A file that does not end in a line end would make one line of two keys.
    script = (
        "umask 077; cd && mkdir -p .ssh && touch .ssh/authorized_keys && IFS= read -r key && "
        '{ grep -qxF "$key" .ssh/authorized_keys || { [ -z "$(tail -c1 .ssh/authorized_keys)" ] || '
        'echo >>.ssh/authorized_keys; printf "%s\\n" "$key" >>.ssh/authorized_keys; }; } && echo installed'
    )
    if run(client, script, f"{public}\n").strip() != "installed":
        raise WrongAnswerError("the key could not be written to ~/.ssh/authorized_keys there; is the disk full?")


def with_sudo(client: paramiko.SSHClient, password: Secret) -> str:
    """Return what sudo says to this password, which goes over stdin: "taken", "refused" or "forbidden" to this user."""
    # Only after the right password does it tell that the user may do nothing.
    script = (
        "said=$(LC_ALL=C sudo -k -S -p '' true 2>&1) && echo taken || case $said in "
        '*"not in the sudoers file"*|*"may not run sudo"*|*"not allowed to"*) echo forbidden;; *) echo refused;; esac'
    )
    return run(client, script, f"{password.reveal()}\n").strip()


def run(client: paramiko.SSHClient, script: str, stdin: str = "") -> str:
    """Run a script of POSIX sh and return what it prints, and nothing that a shell there says beside; stdin: for it.

    Raises:
        WrongAnswerError: the host does not answer, or runs no command; then with what its owner does about it.
    """
    try:
        given, out, err = client.exec_command(
            str(heard(script, seconds=_COMMAND_SECONDS)), timeout=_COMMAND_SECONDS + 5
        )
        with suppress(OSError):  # what ends before it has read all of it is told by what it says
            given.write(stdin)
            given.flush()
            given.channel.shutdown_write()
        told = out.read(4 * MAX_BYTES).decode(errors="replace")
        beside = err.read(no_answer.MAX_BYTES).decode(errors="replace")
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise WrongAnswerError(f"the host did not answer a command ({error}); try again") from None
    try:
        return said(told.split("\n"))
    except UnreadableError as error:
        connection = client.get_transport()
        if "is no answer" not in str(error) or connection is None:
            raise WrongAnswerError(f"the host did not answer a command ({error}); try again") from None
        why = no_answer.why(f"{told}\n{beside}", connection.get_username() or "root", connection.getpeername()[0])
        raise WrongAnswerError(why) from None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
