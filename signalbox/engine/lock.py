"""One deploy a host at a time: a lock on the host that lives exactly as long as the run that took it.

A shell on the host holds flock(1) on PATH and waits for a line on stdin. When the controller dies, its connection
closes, the shell reads the end of its stdin, and the lock is gone; a controller that vanishes from the network loses
it when the lock expires. A reboot clears /run.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import gevent
from paramiko import SSHException
from pyinfra.api import Host
from pyinfra.connectors import ssh
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from signalbox.host.shared.output import shown
from signalbox.shell import Script, command_of, sh
from signalbox.untrusted import json_of

PATH = "/run/signalbox/deploy.lock"
LOG = "/var/log/signalbox/deploys.jsonl"
WAITING_FOR = "waiting up to"
_RELEASE_SECONDS = 5
_ANSWER_SECONDS = 60  # a host that has not said by then who has its lock fails
_LINE_BYTES = 8192  # of a line that a host says
_GREETINGS = 2000  # lines that a shell may say before the first of ours; .bashrc files greet
_LOG_BYTES = 1_000_000  # then the log begins anew, and what it was is LOG.1


@dataclass(frozen=True)
class Owner:
    """Who holds a lock. since, expires: ISO 8601, UTC. pid: of the shell on the host that holds it."""

    who: str
    reason: str
    run: str
    since: str
    expires: str
    pid: int = 0

    def __str__(self) -> str:
        return f"{self.who} since {self.since} ({self.reason}); it expires at {self.expires}"

    @classmethod
    def read(cls, line: str) -> Owner:
        """Read a lock's line; one that says nothing useful is an owner without a name."""
        try:
            found = json_of(line, max_bytes=_LINE_BYTES, max_depth=1)
        except ValueError:
            found = None
        known = {each.name: int if each.name == "pid" else str for each in fields(cls)}
        if not isinstance(found, dict) or {*found, "pid"} != {*known}:
            return _NOBODY
        if not all(type(value) is known[key] for key, value in found.items()):
            return _NOBODY
        told: dict[str, Any] = {key: shown(value) if isinstance(value, str) else value for key, value in found.items()}
        return cls(**told)


_NOBODY = Owner("somebody", "no reason given", "", "an unknown time", "an unknown time")


class LockError(Exception):
    """A host's shell does not say that it holds the lock, nor who does."""


class _Pipe(Protocol):
    def read(self) -> bytes: ...
    def write(self, line: str) -> None: ...
    def close(self) -> None: ...


class _Channel:
    """The shell's pipes over SSH."""

    def __init__(self, connector: SSHConnector, command: str) -> None:
        assert connector.client is not None
        self._stdin, stdout, _ = connector.client.exec_command(command)
        self._stdout = stdout.channel.makefile("rb")

    def read(self) -> bytes:
        return bytes(self._stdout.readline(_LINE_BYTES))

    def write(self, line: str) -> None:
        self._stdin.write(f"{line}\n")
        self._stdin.channel.shutdown_write()

    def close(self) -> None:
        self._stdin.channel.close()


class _Process:
    """The shell's pipes on this machine."""

    def __init__(self, command: str) -> None:
        self._process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline(_LINE_BYTES)

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def holder(owner: Owner, unfinished: str, wait_seconds: int, expires_seconds: int, word: str) -> Script:
    """Return the shell (POSIX sh, as root) that holds the lock.

    It says `waiting OWNER` while somebody else has it, then `busy OWNER` and ends; or `taken MILLISECONDS`, for how
    long nobody has had it, and `released` at its end, each behind `word`, which tells its lines from a greeting. The
    line that it reads on stdin is the record of the run, for LOG; `unfinished` is that of a run that ends, or whose
    time does, without one. The file descriptor is not passed on, so killing the shell is enough to break the lock.
    """
    info = json.dumps({key: value for key, value in asdict(owner).items() if key != "pid"})[:-1]
    directory, logs = PATH.rpartition("/")[0], LOG.rpartition("/")[0]
    other = sh('"$(cat {})"', PATH)  # between two owners it is empty, and is a line all the same
    # What is written there last is its end; a file that is new says that nobody has had it since the host started.
    quiet = sh("$(( ($(date +%s%N) - $(stat -c %.9Y {} | tr -d .)) / 1000000 ))", PATH)
    return sh(
        "umask 022; install -d -m 755 {directory} && {{ [ -e {path} ] || touch -d @0 {path}; }} && exec 9>>{path}"
        " || exit 1;"
        " if ! flock -n 9; then printf '\\n%s waiting %s\\n' {word} {other};"
        " if ! flock -w {wait} 9; then printf '\\n%s busy %s\\n' {word} {other}; exit 0; fi; fi;"
        " quiet={quiet}; printf '%s, \"pid\": %s}}\\n' {info} $$ > {path}; printf '\\n%s taken %s\\n' {word} $quiet;"
        " record=$(exec 9>&-; exec timeout {expires} head -n 1); : > {path};"
        ' install -d -m 750 {logs} && if [ "$(stat -c %s {log} 2>/dev/null)" -gt {size} ] 2>/dev/null;'
        " then mv -f {log} {log}.1; fi;"
        ' [ -n "$record" ] || record={unfinished}; printf \'%s\\n\' "$record" >> {log};'
        " printf '\\n%s released\\n' {word}",
        directory=directory,
        logs=logs,
        path=PATH,
        log=LOG,
        word=word,
        other=other,
        quiet=quiet,
        wait=wait_seconds,
        expires=expires_seconds,
        size=_LOG_BYTES,
        info=info,
        unfinished=unfinished,
    )


class Lock:
    """The lock of one host, taken when made; hosts without a shell of their own (@fake) have none.

    busy: who has it instead, None if it is ours. quiet: for how many seconds nobody had it.
    """

    def __init__(
        self, host: Host, privileges: dict[str, Any], owner: Owner, unfinished: str, wait: int, expires: int
    ) -> None:
        self._word = secrets.token_hex(8)
        self._pipe = self._open(host, privileges, holder(owner, unfinished, wait, expires, self._word))
        self.busy: Owner | None = None
        self.quiet = math.inf
        self._watch: gevent.Greenlet | None = None
        if self._pipe is None:
            return
        try:
            self._begin(host, wait)
        except LockError:
            self._pipe.close()
            raise

    def _begin(self, host: Host, wait: int) -> None:
        said = self._said(_ANSWER_SECONDS)
        if said.startswith("waiting"):
            if wait:
                host.log(f"{WAITING_FOR} {wait} s for {Owner.read(said.removeprefix('waiting '))}")
            said = self._said(wait + _ANSWER_SECONDS)
        if said.startswith("busy"):
            self.busy = Owner.read(said.removeprefix("busy "))
            assert self._pipe is not None
            self._pipe.close()
            self._pipe = None
            return
        taken = re.fullmatch(r"taken (-?[0-9]{1,15})", said)
        if not taken:
            raise LockError(f"its shell says {said[:80]!r} when it is asked for the lock")
        self.quiet = int(taken[1]) / 1000
        self._watch = gevent.spawn(self._until_its_end)

    def _said(self, seconds: float) -> str:
        """Return the next line of our script, without its word. Raises LockError: there is none."""
        try:
            with gevent.Timeout(seconds, TimeoutError()):
                return self._next()
        except TimeoutError:
            raise LockError(f"its shell did not say within {seconds} s who has the lock") from None
        except (OSError, EOFError, SSHException) as error:
            raise LockError(f"its shell cannot be heard: {error}") from None

    def _next(self) -> str:
        pipe, other = self._pipe, ""
        assert pipe is not None
        for _ in range(_GREETINGS):
            read = pipe.read()
            line = read.decode(errors="replace").rstrip()
            if line.startswith(f"{self._word} "):
                return line.removeprefix(f"{self._word} ")
            if not read:
                break
            other = other or line
        raise LockError(
            f"its shell says {shown(other)[:80]!r} in place of who has the lock" if other else "its shell ended"
        )

    def _until_its_end(self) -> None:
        with suppress(OSError, EOFError, SSHException, LockError):
            self._next()

    @staticmethod
    def _open(host: Host, privileges: dict[str, Any], script: Script) -> _Pipe | None:
        command = command_of(script)
        if isinstance(host.connector, SSHConnector):
            # The name as our askpass has replaced it: a sudo password never is in a command.
            unix = ssh.make_unix_command_for_host(host.state, host, command, **privileges)
            return _Channel(host.connector, unix.get_raw_value())
        if isinstance(host.connector, LocalConnector):
            return _Process(make_unix_command_for_host(host.state, host, command, **privileges).get_raw_value())
        return None

    def on_loss(self, call: Any) -> None:
        """Have `call()` called when the lock ends before it is released: it was broken, or it expired."""
        if self._watch is not None:
            self._watch.link(lambda _: None if self._pipe is None else call())

    def release(self, record: str) -> bool:
        """Give the lock back, leave `record` (one line) in the host's log, and return whether it was still ours."""
        if self._pipe is None or self._watch is None:
            return True
        pipe, self._pipe = self._pipe, None
        held = not self._watch.ready()
        try:
            pipe.write(record)
            self._watch.join(_RELEASE_SECONDS)
        except (OSError, EOFError, SSHException):
            held = False  # the connection is gone, and the lock with it
        self._watch.kill()
        pipe.close()
        return held
