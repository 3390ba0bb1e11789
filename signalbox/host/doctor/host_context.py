"""Where a check runs: what the deploy meant this host to be, who we are, and short looks at the host."""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..shared import within

EXPECTED = Path("/etc/signalbox/doctor.json")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
OUTPUT = 1 << 20  # bytes that a command may print
PATIENCE = 3  # seconds for an answer on the host or its network

ROOT, AGENT, KEEPER = "root", "agent", "keeper"  # who looks: root, the service user, the gateway's user


@dataclass(frozen=True)
class Here:
    """What every check gets.

    expected: what the host shall be (desired/health.py makes it). roles: of this process. billed: requests that
    cost may be sent. quick: nothing that keeps a model busy. asked_from: environment of the shell that called.
    unwell: model servers that are not to be asked for an answer. placed: kind, path and hash of what the deploy placed
    in this user's home.
    """

    expected: Mapping[str, Any]
    roles: frozenset[str]
    billed: bool = False
    quick: bool = False
    asked_from: Mapping[str, str] | None = None
    unwell: frozenset[str] = frozenset()
    placed: tuple[tuple[str, str, str], ...] = ()

    @property
    def home(self) -> Path:
        """The home of the user that this process is."""
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)

    @property
    def user(self) -> str:
        """The user that this process is."""
        return pwd.getpwuid(os.geteuid()).pw_name

    @property
    def lanes(self) -> dict[str, Any]:
        """The lanes' records, as the launchers read them."""
        return dict(self.expected["lanes"]["lanes"])


def environment() -> dict[str, str]:
    """Return the environment of this user's own services, with nothing inherited."""
    me = pwd.getpwuid(os.geteuid())
    runtime = f"/run/user/{me.pw_uid}"
    return {
        "HOME": me.pw_dir,
        "USER": me.pw_name,
        "LOGNAME": me.pw_name,
        "LANG": "C.UTF-8",
        "PATH": f"{me.pw_dir}/.local/bin:{SYSTEM_PATH}",
        "XDG_RUNTIME_DIR": runtime,
        "DOCKER_HOST": f"unix://{runtime}/docker.sock",
    }


def run(*command: str, timeout: float = 15, bare: bool = False, stdin: str = "") -> tuple[int, str]:
    """Run a command; return its status and all it printed. 127: not there, 124: it took too long, or printed too much.

    It may be the user's own program: what it has started ends with it, and it has no terminal to write to.
    bare: without PATH and variables of our own, as a login shell starts.
    """
    variables = environment()
    if bare:
        variables = {name: variables[name] for name in ("HOME", "USER", "LOGNAME", "LANG")}
    given = os.memfd_create("stdin")  # a pipe that is not read would block
    try:
        os.write(given, stdin.encode(errors="surrogateescape"))
        os.lseek(given, 0, os.SEEK_SET)
        process = subprocess.Popen(
            command,
            env=variables,
            cwd="/",
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return 127, str(getattr(error, "strerror", None) or error)
    finally:
        os.close(given)
    try:
        said = _said(process, time.monotonic() + timeout)
    except TimeoutError as error:
        return 124, str(error) or f"no end within {timeout:g} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it is not waited for yet, so the number is still its own
        process.wait()
        assert process.stdout
        process.stdout.close()
    return process.returncode, said.decode(errors="replace").strip()


def _said(process: subprocess.Popen[bytes], until: float) -> bytes:
    """Return what a process prints until it ends. Raises TimeoutError, with words where it prints too much."""
    assert process.stdout
    output, said = process.stdout.fileno(), b""
    while select.select([output], [], [], max(until - time.monotonic(), 0))[0]:
        if not (more := os.read(output, 1 << 16)):
            break
        said += more
        if len(said) > OUTPUT:
            raise TimeoutError(f"it prints more than {OUTPUT >> 10} KiB")
    with suppress(ChildProcessError):  # somebody else in this process has waited for it
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.002)
    return said


@dataclass(frozen=True)
class Answer:
    """What a server said; status 0: nothing, `text` tells why."""

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The answer as JSON; None where it is none."""
        try:
            return within.json_of(self.text)
        except ValueError:
            return None


def ask(
    url: str,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    timeout: float = PATIENCE,
    proxies: bool = False,
) -> Answer:
    """GET `url`, or POST `body` to it as JSON. What is on the host or its network is not asked through a proxy."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json", **(headers or {})} if data else dict(headers or {})
    request = urllib.request.Request(url, data=data, headers=sent)  # noqa: S310 (http or https, from the settings)
    try:
        status, found, text = within.fetched(request, timeout, proxies)
    except OSError as error:
        return Answer(0, str(getattr(error, "reason", None) or error.strerror or error), {})
    return Answer(status, text.decode(errors="replace"), found)


@cache
def key_in(path: str) -> str:
    """Return the key in a file of this user; `.cred` is decrypted. Raises OSError with the reason in words."""
    if not path.endswith(".cred"):
        return within.text_of(path, within.LINE).strip()
    os.stat(path)  # systemd-creds says in words alone that it is gone
    name = Path(path).stem
    done = subprocess.run(
        ["systemd-creds", "--user", "decrypt", f"--name={name}", path, "-"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise OSError(0, said[-1])
    return done.stdout.strip()


def read(path: Path) -> str | None:
    """Return a file's text; None where there is none that we may read, or too much of it."""
    try:
        return within.text_of(path)
    except OSError:
        return None
