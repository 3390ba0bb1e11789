"""The mirror's two servers as detached processes: started once, known by their records, ended by them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import requests

from tests.lab.machine import LabError, Process, wait_until, write
from tests.lab.mirror import registry

FILES_PORT = 8080
REGISTRY_PORT = 5443
NAMES = ("files", "registry")


def files(bind: str, state: Path, directory: Path) -> None:
    """Serve `directory` by HTTP on `bind`, unless it is being served."""
    command = [sys.executable, "-m", "http.server", "--bind", bind, "--directory", str(directory), str(FILES_PORT)]
    _ensure("files", command, bind, FILES_PORT, state, f"http://{bind}:{FILES_PORT}/")


def images(bind: str, state: Path, storage: Path) -> None:
    """Serve the registry's `storage` by HTTPS on `bind`, with the certificate of `state`, unless it is being served."""
    configuration = state / "registry.yml"
    certificate = (state / "server.crt", state / "server.key")
    write(configuration, registry.configuration(storage, f"{bind}:{REGISTRY_PORT}", certificate))
    command = [registry.executable(), "serve", str(configuration)]
    url, depends_on = f"https://{bind}:{REGISTRY_PORT}/v2/", [configuration, state / "server.crt"]
    _ensure("registry", command, bind, REGISTRY_PORT, state, url, state / "ca.crt", depends_on)


def _ensure(
    name: str,
    command: list[str],
    bind: str,
    port: int,
    state: Path,
    url: str,
    ca: Path | None = None,
    depends_on: Sequence[Path] = (),
) -> None:
    record, log = state / f"{name}.pid", state / f"{name}.log"
    serves = hashlib.sha256(" ".join(command).encode() + b"".join(path.read_bytes() for path in depends_on)).hexdigest()
    if Process.recorded(record):
        if json.loads(record.read_text())["serves"] == serves:
            return
        stop(state, (name,))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise LabError(f"the mirror cannot listen on {bind}:{port}: {error.strerror}") from None
    # Variables of this name would override the registry's configuration, such as where it listens.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
        )
    if process := Process.of(started.pid):
        write(record, json.dumps({"pid": process.pid, "start": process.start, "serves": serves}))
    wait_until(lambda: started.poll() is not None or _answers(url, ca), 15)
    if started.poll() is not None or not _answers(url, ca):
        stop(state, (name,))
        raise LabError(f"the mirror's {name} server does not answer at {url}: {log.read_text().strip()[-500:]}")


def _answers(url: str, ca: Path | None) -> bool:
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor other authorities
        try:
            return session.get(url, timeout=5, verify=str(ca) if ca else True).ok
        except requests.RequestException:
            return False


def stop(state: Path, names: tuple[str, ...] = NAMES) -> None:
    """End the servers that `state` records; ask first, then insist."""
    for name in names:
        record = state / f"{name}.pid"
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if process := Process.recorded(record):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, sent)
                wait_until(lambda: not Process.recorded(record), 5)  # noqa: B023 (used at once)
        record.unlink(missing_ok=True)
