"""Debian's docker-registry (CNCF distribution), told exactly where to listen and what to serve.

https://distribution.github.io/distribution/about/configuration/
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.lab.machine import LabError, wait_until
from tests.lab.mirror import image
from tests.lab.mirror.packing import remove

NAME = "berriai/litellm"


def executable() -> str:
    """Return the path of docker-registry; LabError when it is missing."""
    found = shutil.which("docker-registry")
    if found is None:
        raise LabError("the mirror needs a Debian package that is missing: apt-get install docker-registry")
    return found


def configuration(storage: Path, address: str, tls: tuple[Path, Path] | None = None) -> str:
    """Return the configuration (YAML) of a registry at `address` ("ip:port").

    With `tls` (certificate, key) it serves HTTPS and its contents cannot be changed; without, it takes what is pushed.
    """
    http: dict[str, object] = {"addr": address}
    if tls:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    maintenance = {"uploadpurging": {"enabled": False}, "readonly": {"enabled": tls is not None}}
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "maintenance": maintenance},
        "http": http,
    }
    return json.dumps(settings, indent=1)  # JSON is YAML


def stored(directory: Path, version: str) -> None:
    """Build the image and store it: `registry` is a registry's storage, `digest` what to pull."""
    built = image.build(directory, version)
    pushed = fill(directory / "registry", directory, version)
    if pushed != built:
        raise LabError(f"the registry stored {pushed} instead of {built}")
    remove(directory / "blobs")  # the registry has them now
    (directory / "digest").write_text(built)


def fill(storage: Path, built: Path, tag: str) -> str:
    """Push the image that `image.build` wrote to a registry over `storage`; return the digest it tells."""
    storage.mkdir()
    with serving(storage) as (session, url):
        return push(session, url, built, tag)


@contextmanager
def serving(
    storage: Path, bind: str = "127.0.0.1", tls: tuple[Path, Path] | None = None
) -> Iterator[tuple[requests.Session, str]]:
    """Serve `storage` on a free port, to be written to unless there is `tls`; give a session and the URL."""
    with socket.socket() as free:
        free.bind((bind, 0))
        address = f"{bind}:{free.getsockname()[1]}"
    file = storage.with_name("registry.yml")
    file.write_text(configuration(storage, address, tls))
    with (
        storage.with_name("registry.log").open("wb") as log,
        subprocess.Popen([executable(), "serve", str(file)], stdout=log, stderr=log) as process,
    ):
        try:
            session = requests.Session()
            session.trust_env = False  # no proxy towards this machine itself
            session.verify = False  # it is this process's own child
            url = f"{'https' if tls else 'http'}://{address}"
            if not wait_until(lambda: _answers(session, url) or process.poll() is not None, 10) or process.poll():
                raise LabError(f"docker-registry does not start: {Path(log.name).read_text().strip()[-500:]}")
            yield session, url
        finally:
            process.terminate()


def _answers(session: requests.Session, url: str) -> bool:
    try:
        return session.get(f"{url}/v2/", timeout=5).ok
    except requests.ConnectionError:
        return False


def push(session: requests.Session, url: str, built: Path, tag: str) -> str:
    """Push blobs, then the manifest; return its digest.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
    """
    repository = f"{url}/v2/{NAME}"
    for blob in sorted((built / "blobs").iterdir()):
        started = session.post(f"{repository}/blobs/uploads/", timeout=30)
        started.raise_for_status()
        with blob.open("rb") as data:
            sent = session.put(
                started.headers["Location"],
                params={"digest": f"sha256:{blob.name}"},
                data=data,
                headers={"Content-Type": "application/octet-stream"},
                timeout=300,
            )
        sent.raise_for_status()
    manifest = (built / "manifest.json").read_bytes()
    put = session.put(
        f"{repository}/manifests/{tag}", data=manifest, headers={"Content-Type": image.MANIFEST_TYPE}, timeout=30
    )
    put.raise_for_status()
    return put.headers["Docker-Content-Digest"]
