"""An npm registry of archives that lie here: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(bind: str, directory: Path, archives: Mapping[str, Mapping[str, Path]]) -> Iterator[str]:
    """Serve packages by name and version, whose archives lie below `directory`; the last version is the latest."""
    with ThreadingHTTPServer((bind, 0), partial(_Quiet, directory=str(directory))) as server:
        url = f"http://{bind}:{server.server_port}"
        for name, versions in archives.items():
            listed = {version: _described(archive, url, directory) for version, archive in versions.items()}
            told = {"name": name, "dist-tags": {"latest": [*versions][-1]}, "versions": listed}
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(json.dumps(told))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()


def integrity(archive: Path) -> str:
    """Return npm's checksum of an archive."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def _described(archive: Path, url: str, directory: Path) -> dict[str, Any]:
    data = archive.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        described = tar.extractfile("package/package.json")
        assert described, archive
        package: dict[str, Any] = json.loads(described.read())
    dist = {"tarball": f"{url}/{archive.relative_to(directory)}", "integrity": integrity(archive)}
    package["dist"] = {**dist, "shasum": hashlib.sha1(data).hexdigest()}  # noqa: S324 (npm's field)
    return package
