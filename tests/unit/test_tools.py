"""What a registry or a mirror sends is believed only as far as the pin goes: the shell is run here against odd ones."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from signalbox.operations import tools

PACKAGE, VERSION = "@anthropic-ai/claude-code-linux-x64", "2.1.329"


class Registry(BaseHTTPRequestHandler):
    """Answers each path with what a test has put there; a `Location: …` in its place redirects."""

    pages: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.pages.get(self.path)
        redirect = body.removeprefix(b"Location: ").decode() if body and body.startswith(b"Location: ") else None
        self.send_response(404 if body is None else 302 if redirect else 200)
        if redirect:
            self.send_header("Location", redirect)
        else:  # curl before 8.4 goes by this alone
            self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(b"" if redirect else body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    Registry.pages = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def sh(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def asked(registry: str, listing: bytes, directory: Path) -> subprocess.CompletedProcess[str]:
    """Have the registry tell this of the package, and return what becomes of the address."""
    Registry.pages[f"/{PACKAGE.replace('/', '%2f')}"] = listing
    return sh(f'{tools._listed(registry, PACKAGE, VERSION)} && printf %s "$url"', directory)


def listing(tarball: object) -> bytes:
    return json.dumps({"versions": {VERSION: {"dist": {"tarball": tarball}}}}).encode()


@pytest.mark.parametrize(
    ("tarball", "address"),
    [
        ("{}/x/-/x.tgz", "{}/x/-/x.tgz"),
        ("https://cdn.example.com/a/x.tgz?sig=a%2Fb&t=1", "https://cdn.example.com/a/x.tgz?sig=a%2Fb&t=1"),
        # A proxy that hands npm's own listing on, as npm understands it: https://github.com/denoland/deno/pull/36187
        ("https://registry.npmjs.org/@a/b/-/b-1.tgz", "{}/@a/b/-/b-1.tgz"),
        ("https://registry.npmjs.org.example.com/b.tgz", "https://registry.npmjs.org.example.com/b.tgz"),
    ],
)
def test_the_address_is_the_one_that_npm_would_take(registry: str, tarball: str, address: str, tmp_path: Path) -> None:
    done = asked(registry, listing(tarball.format(registry)), tmp_path)
    assert (done.returncode, done.stdout) == (0, address.format(registry)), done.stderr


ODD = {
    "a command": listing("https://a.example/$(touch ran).tgz"),
    "a quote": listing("https://a.example/x';touch ran;'.tgz"),
    "a line break": listing("https://a.example/x\ntouch ran"),
    "an option": listing("-o/etc/passwd"),
    "a file": listing("file:///etc/shadow"),
    "no text": listing(["https://a.example/x.tgz"]),
    "nothing": listing(None),
    "no version": b'{"versions": {}}',
    "a list": b"[]",
    "no JSON": b"<html>",
    "no bytes": b"",
    "bytes": bytes(range(256)),
    "nested": b'{"versions": ' + b"[" * 200_000,
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_listing_ends_in_words(registry: str, what: str, tmp_path: Path) -> None:
    done = asked(registry, ODD[what], tmp_path)
    assert done.returncode != 0
    assert f"names no archive of {PACKAGE} {VERSION}; check mirrors.npm" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def fetched(registry: str, checksum: str, directory: Path) -> subprocess.CompletedProcess[str]:
    script = f'url={registry}/a.tgz && {tools._CURL} --max-filesize 1000 -o archive "$url"'
    return sh(f"{script.replace('--retry 3', '--retry 0')} && {tools._proof('archive', checksum)}", directory)


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_what_is_not_pinned_is_refused(registry: str, kind: str, tmp_path: Path) -> None:
    digest = hashlib.new(kind, b"pinned")
    pin = digest.hexdigest() if kind == "sha256" else f"sha512-{base64.b64encode(digest.digest()).decode()}"
    Registry.pages["/a.tgz"] = b"pinned"
    assert fetched(registry, pin, tmp_path).returncode == 0
    for sent in (b"other", b"", b"pinned\n"):
        Registry.pages["/a.tgz"] = sent
        done = fetched(registry, pin, tmp_path)
        assert done.returncode != 0
        assert "what came is not what is pinned" in done.stderr, done.stderr


@pytest.mark.parametrize("sent", [b"Location: file:///etc/passwd", b"Location: gopher://127.0.0.1/x", b"x" * 5000])
def test_a_mirror_sends_root_to_no_file_and_fills_no_disk(registry: str, sent: bytes, tmp_path: Path) -> None:
    Registry.pages["/a.tgz"] = sent
    done = fetched(registry, "0" * 64, tmp_path)
    assert done.returncode != 0
    assert "what came" not in done.stderr
    assert not any(b"root:" in path.read_bytes() or path.stat().st_size > 1000 for path in tmp_path.iterdir())
