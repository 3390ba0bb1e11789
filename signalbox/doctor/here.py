"""Where a check runs: what the deploy meant this host to be, who we are, and short looks at the host."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EXPECTED = Path("/etc/signalbox/doctor.json")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
PATIENCE = 3  # seconds for an answer on the host or its network

ROOT, AGENT, KEEPER = "root", "agent", "keeper"  # who looks: root, the service user, the gateway's user


@dataclass(frozen=True)
class Here:
    """What every check gets.

    expected: what the host shall be (signalbox/health.py makes it). roles: of this process. billed: requests that
    cost may be sent. quick: nothing that keeps a model busy. asked_from: environment of the shell that called.
    unwell: model servers that are not to be asked for an answer.
    """

    expected: Mapping[str, Any]
    roles: frozenset[str]
    billed: bool = False
    quick: bool = False
    asked_from: Mapping[str, str] | None = None
    unwell: frozenset[str] = frozenset()

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
    """Run a command; return its status and all it printed. 127: not there, 124: it took too long.

    bare: without PATH and variables of our own, as a login shell starts.
    """
    variables = environment()
    if bare:
        variables = {name: variables[name] for name in ("HOME", "USER", "LOGNAME", "LANG")}
    try:
        done = subprocess.run(
            command,
            env=variables,
            cwd="/",
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no end within {timeout:g} s"
    except OSError as error:
        return 127, str(error.strerror)
    return done.returncode, done.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class Answer:
    """What a server said; status 0: nothing, `text` tells why."""

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The answer as JSON; None where it is none."""
        try:
            return json.loads(self.text)
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
        with _opener(proxies).open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.read(1 << 20).decode(errors="replace"), dict(answer.headers))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(1 << 20).decode(errors="replace"), dict(error.headers))
    except (OSError, ValueError) as error:
        return Answer(0, str(getattr(error, "reason", error)), {})


@cache
def _opener(proxies: bool) -> urllib.request.OpenerDirector:
    # Kept: reading the host's certificates costs more than most requests.
    return urllib.request.build_opener(urllib.request.ProxyHandler(None if proxies else {}))


@cache
def key_in(path: str) -> str:
    """Return the key in a file of this user; `.cred` is decrypted. Raises OSError with the reason in words."""
    if not path.endswith(".cred"):
        return Path(path).read_text().strip()
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
    """Return a file's text; None where there is none that we may read. A pipe in its place does not block."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), errors="replace") as file:
            return file.read()
    except OSError:
        return None
