"""`signalbox pin` against mirrors on loopback: real HTTP, real TLS, a registry's token dance, the real npm."""

from __future__ import annotations

import ast
import base64
import datetime
import hashlib
import ipaddress
import json
import os
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signalbox.pins import PinError, Web, npm, oci, resolve, rewrite, unset, write
from signalbox.settings.layers import DEFAULTS, defaults, merge
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.pins import Pins

pytestmark = pytest.mark.slow

MISE, NODE, CLAUDE, LITELLM = (
    defaults()["pins"][name]["version"] for name in ("mise", "node", "claude_code", "litellm")
)
ARCHIVES = {
    f"/mise/v{MISE}/mise-v{MISE}-linux-x64.tar.gz": b"mise x64",
    f"/mise/v{MISE}/mise-v{MISE}-linux-arm64.tar.gz": b"mise arm64",
    f"/dist/v{NODE}/node-v{NODE}-linux-x64.tar.gz": b"node x64",
}
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"platform": {"os": "linux", "architecture": each}} for each in ("amd64", "arm64")],
    }
).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def integrity(data: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"


@dataclass
class Mirror:
    """A web server on loopback; `files` are its answers, and the paths asked for are in `asked`."""

    scheme: str = "http"
    port: int = 0
    ca: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    digest: str = ""
    tags: list[list[str]] = field(default_factory=list)  # the pages of the registry's list
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if path.startswith("/v2/"):
            if authorization != "Bearer let-me-in":
                scope = 'service="lab",scope="repository:berriai/litellm:pull"'
                return 401, {"WWW-Authenticate": f'Bearer realm="{self.url}/token",{scope}'}, b""
            if path == f"/v2/berriai/litellm/manifests/{LITELLM}":
                return 200, {"Docker-Content-Digest": self.digest or f"sha256:{sha256(INDEX)}"}, INDEX
            if path.startswith("/v2/berriai/litellm/tags/list"):
                page = int(path.partition("&last=")[2] or 0)
                more = page + 1 < len(self.tags)
                link = {"Link": f'</v2/berriai/litellm/tags/list?n=1000&last={page + 1}>; rel="next"'} if more else {}
                return 200, link, json.dumps({"name": "berriai/litellm", "tags": self.tags[page]}).encode()
        if path.startswith("/token?"):
            right = "service=lab" in path and "scope=repository%3Aberriai%2Flitellm%3Apull" in path
            return (200, {}, b'{"token": "let-me-in"}') if right else (400, {}, b"")
        body = self.files.get(unquote(path))
        return (404, {}, b"") if body is None else (200, {"Content-Type": "application/json"}, body)


def certificates(directory: Path) -> tuple[str, Path]:
    """A CA's PEM, and a file with a server key and certificate for 127.0.0.1 that it signed."""
    now = datetime.datetime.now(datetime.UTC)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        built = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("Lab CA")).public_key(key)
        return (
            built.serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = (
        builder("Lab CA", authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        builder("mirror", server.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    file = directory / "server.pem"
    pem = serialization.Encoding.PEM
    key = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key + leaf.public_bytes(pem))
    return root.public_bytes(pem).decode(), file


def serve(mirror: Mirror, directory: Path, tls: bool) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = mirror.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        mirror.ca, file = certificates(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        mirror.scheme = "https"
    mirror.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def fill(mirror: Mirror) -> None:
    """Everything that pins are resolved from."""
    mirror.files.update(ARCHIVES)
    for directory in (f"/mise/v{MISE}", f"/dist/v{NODE}"):
        lines = [
            f"{sha256(body)}  {'./' if directory.startswith('/mise') else ''}{path.rsplit('/', 1)[1]}"
            for path, body in ARCHIVES.items()
            if path.startswith(directory)
        ]
        mirror.files[f"{directory}/SHASUMS256.txt"] = "\n".join(lines).encode()
    scope, names = "@anthropic-ai/claude-code", ("", "-linux-x64", "-linux-arm64")
    for name in names:
        tarball = f"/npm/{scope}{name}-{CLAUDE}.tgz"
        mirror.files[tarball] = f"package {name}".encode()
        version: dict[str, Any] = {
            "name": scope + name,
            "version": CLAUDE,
            "dist": {"integrity": integrity(mirror.files[tarball]), "tarball": f"{mirror.url}{tarball}"},
        }
        if not name:
            version["optionalDependencies"] = {scope + other: CLAUDE for other in (*names[1:], "-linux-x64-musl")}
        package = {"name": scope + name, "dist-tags": {"latest": CLAUDE}, "versions": {CLAUDE: version}}
        mirror.files[f"/npm/{scope}{name}"] = json.dumps(package).encode()
        mirror.files[f"/npm/{scope}{name}/{CLAUDE}"] = json.dumps(version).encode()


@pytest.fixture(params=["http", "https"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mirror]:
    yield from _running(tmp_path, request.param == "https")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Mirror]:
    yield from _running(tmp_path, tls=False)


def _running(directory: Path, tls: bool) -> Iterator[Mirror]:
    mirror = Mirror()
    server = serve(mirror, directory, tls)
    fill(mirror)
    yield mirror
    server.shutdown()
    server.server_close()


def sections_for(mirror: Mirror) -> dict[str, Any]:
    return {
        "mirrors": {
            "mise": f"{mirror.url}/mise",
            "node": f"{mirror.url}/dist",
            "npm": f"{mirror.url}/npm",
            "litellm": f"127.0.0.1:{mirror.port}/berriai/litellm",
        },
        "extra_ca_certificates": [mirror.ca] if mirror.ca else [],
        "pins": UNSET,
    }


UNSET = {
    "mise": {"sha256": {"amd64": None, "arm64": None}},
    "node": {"sha256": {"amd64": None, "arm64": None}},
    "claude_code": {"integrity": {"package": None, "amd64": None, "arm64": None}},
    "litellm": {"digest": None},
}
PINS = Pins.model_validate(merge(defaults()["pins"], UNSET))


def mirrors_of(mirror: Mirror) -> Mirrors:
    return Mirrors.model_validate(merge(defaults()["mirrors"], sections_for(mirror)["mirrors"]))


EXPECTED = {
    "mise.sha256.amd64": sha256(b"mise x64"),
    "mise.sha256.arm64": sha256(b"mise arm64"),
    "node.sha256.amd64": sha256(b"node x64"),  # the mirror has none for arm64
    "claude_code.integrity.package": integrity(b"package "),
    "claude_code.integrity.amd64": integrity(b"package -linux-x64"),
    "claude_code.integrity.arm64": integrity(b"package -linux-arm64"),
    "litellm.digest": f"sha256:{sha256(INDEX)}",
}
NAMES = ("mise", "node", "claude_code", "litellm")


def test_every_pin_is_resolved(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    # The registry's own HTTP API here; the npm client is tested below.
    monkeypatch.setattr(npm, "client", lambda: None)
    with Web([mirror.ca]) as web:
        found = list(resolve(web, PINS, mirrors_of(mirror), NAMES))
        for one in found:
            one.verify(web, lambda *_: None)
    assert {one.name: one.new for one in found} == EXPECTED
    assert set(ARCHIVES) <= set(mirror.asked)  # verified by downloading them


def test_npm_client_is_asked(plain: Mirror) -> None:
    if npm.client() is None:
        pytest.skip("no npm on this machine")
    with Web() as web:
        found = list(resolve(web, PINS, mirrors_of(plain), ["claude_code"]))
        assert {one.name: one.new for one in found} == {k: v for k, v in EXPECTED.items() if k.startswith("claude")}
        with pytest.raises(PinError, match=r"npm view @anthropic-ai/claude-code@9\.9\.9: No match found"):
            npm.package(web, "@anthropic-ai/claude-code", "9.9.9", f"{plain.url}/npm")


def test_what_is_pinned_stays_unless_asked_again(plain: Mirror) -> None:
    pins = Pins.model_validate(merge(PINS.model_dump(), {"mise": {"sha256": {"amd64": "a" * 64}}}))
    assert "mise.sha256.amd64" not in unset(pins)
    with Web() as web:
        found = list(resolve(web, pins, mirrors_of(plain), ["mise"]))
        assert [one.name for one in found] == ["mise.sha256.arm64"]
        found = list(resolve(web, pins, mirrors_of(plain), ["mise"], again=True))
        assert [(one.name, one.old) for one in found] == [("mise.sha256.amd64", "a" * 64), ("mise.sha256.arm64", None)]


def test_a_registry_that_contradicts_itself_is_not_believed(plain: Mirror) -> None:
    plain.digest = f"sha256:{'0' * 64}"
    with (
        Web() as web,
        pytest.raises(PinError, match=f"says {plain.digest}, but what it sent is sha256:{sha256(INDEX)}"),
    ):
        oci.manifest_digest(web, f"127.0.0.1:{plain.port}/berriai/litellm", LITELLM)


def test_a_tag_that_is_not_there(plain: Mirror) -> None:
    with (
        Web() as web,
        pytest.raises(PinError, match=r"answers 404; is .*/litellm:9\.9\.9 there\? check mirrors\.litellm"),
    ):
        oci.manifest_digest(web, f"127.0.0.1:{plain.port}/berriai/litellm", "9.9.9")


def test_an_unknown_ca_is_named_as_the_cause(tmp_path: Path) -> None:
    for mirror in _running(tmp_path, tls=True):
        with Web() as web, pytest.raises(PinError, match=r"is not trusted .* name the CA .* in extra_ca_certificates"):
            web.text(f"{mirror.url}/mise/v{MISE}/SHASUMS256.txt", "mise")


def test_nothing_listens(plain: Mirror) -> None:
    with Web() as web, pytest.raises(PinError, match=r"no answer \(.*refused.*\); check the network"):
        web.text("http://127.0.0.1:9/SHASUMS256.txt", "mise")
    assert plain.asked == []


def test_a_changed_archive_is_found_out(plain: Mirror) -> None:
    plain.files[f"/dist/v{NODE}/node-v{NODE}-linux-x64.tar.gz"] = b"node, with a surprise"
    with Web() as web:
        (found,) = resolve(web, PINS, mirrors_of(plain), ["node"])
        with pytest.raises(
            PinError, match=f"its checksum is {sha256(b'node, with a surprise')}, but .* do not trust it"
        ):
            found.verify(web, lambda *_: None)


# ---- writing ----


def test_only_the_literals_change() -> None:
    before = DEFAULTS.read_text(encoding="utf-8")
    changes = {("pins", *name.split(".")): value for name, value in EXPECTED.items()}
    after = rewrite(before, changes)
    old, new = before.splitlines(), after.splitlines()
    assert len(old) == len(new)
    changed = [index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    assert len(changed) == len(changes)  # a line each
    assert all(new[index].split("  #")[1:] == old[index].split("  #")[1:] for index in changed)
    values: dict[str, Any] = {}
    exec(after, values)  # noqa: S102 (the shipped settings file)
    for name, value in EXPECTED.items():
        data = values["pins"]
        for part in name.split("."):
            data = data[part]
        assert data == value


def test_columns_are_counted_in_bytes() -> None:
    source = 's = {"ä": "…", "sha256": None, "é": 1}  # ünchanged\n'
    assert rewrite(source, {("s", "sha256"): "x"}) == 's = {"ä": "…", "sha256": "x", "é": 1}  # ünchanged\n'


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        ("s = {}\n", ("s", "a"), 'all.py: has no s.a; write it there with None, or "…", and run again'),
        ("s = {'a': f()}\n", ("s", "a"), 'all.py: has no s.a; write it there with None, or "…", and run again'),
        ("s = {\n", ("s", "a"), "all.py, line 1: '{' was never closed; correct it first"),
    ],
)
def test_what_cannot_be_rewritten(source: str, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(PinError) as caught:
        rewrite(source, {path: "x"}, "all.py")
    assert str(caught.value) == message


def test_write_keeps_mode_and_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "all.py"
    assert write(file, "one\n") is None
    file.chmod(0o640)
    backup = write(file, "two\n")
    assert backup is not None
    assert (file.read_text(), backup.read_text()) == ("two\n", "one\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all.py", "all.py.bak"]


# ---- the command ----


def signalbox(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from signalbox.commands.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(DEFAULTS.parents[1])}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def arguments(plain: Mirror, tmp_path: Path) -> list[str]:
    inventory = tmp_path / "hosts.py"
    inventory.write_text(f"boxes = [('@fake/box1', {sections_for(plain)!r})]\n")
    (tmp_path / "pins.py").write_text(f"# mine\npins = {UNSET!r}  # kept\n")
    return ["pin", "--inventory", str(inventory), "--output", str(tmp_path / "pins.py")]


def written(file: Path) -> dict[str, Any]:
    tree = ast.parse(file.read_text())
    value: dict[str, Any] = ast.literal_eval(tree.body[-1].value)  # type: ignore[attr-defined]
    return value


@pytest.mark.slow
def test_command_resolves_and_writes(arguments: list[str], tmp_path: Path) -> None:
    before = (tmp_path / "pins.py").read_text()
    done = signalbox(*arguments, cwd=tmp_path)
    assert done.returncode == 1  # nobody said yes
    assert "nothing was written; run with --yes" in done.stderr
    assert (tmp_path / "pins.py").read_text() == before
    done = signalbox(*arguments, "--yes", "--verify", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "litellm.digest" in done.stdout
    assert written(tmp_path / "pins.py")["litellm"]["digest"] == EXPECTED["litellm.digest"]
    assert written(tmp_path / "pins.py")["node"]["sha256"] == {"amd64": EXPECTED["node.sha256.amd64"], "arm64": None}
    assert (tmp_path / "pins.py").read_text().startswith("# mine\n")
    assert (tmp_path / "pins.py").read_text().endswith("# kept\n")
    assert (tmp_path / "pins.py.bak").read_text() == before


@pytest.mark.slow
def test_command_writes_a_new_file(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "pins.py").unlink()
    done = signalbox(*arguments, "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "pins.py")["mise"] == {
        "version": MISE,
        "sha256": {"amd64": EXPECTED["mise.sha256.amd64"], "arm64": EXPECTED["mise.sha256.arm64"]},
    }


@pytest.mark.slow
def test_command_as_json_asks_nothing_and_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    before = (tmp_path / "pins.py").read_text()
    done = signalbox(*arguments, "--json", "mise", "node", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {pin["pin"]: pin["new"] for pin in result["pins"]} == {
        name: value for name, value in EXPECTED.items() if name.startswith(("mise", "node"))
    }
    assert (result["written"], result["errors"]) == (None, [])
    assert (tmp_path / "pins.py").read_text() == before


def test_one_mirror_that_fails_does_not_stop_the_others(arguments: list[str], plain: Mirror, tmp_path: Path) -> None:
    del plain.files[f"/dist/v{NODE}/SHASUMS256.txt"]
    done = signalbox(*arguments, "--yes", "mise", "node", cwd=tmp_path)
    assert done.returncode == 1
    assert f"answers 404; is node {NODE} there?" in done.stderr
    assert written(tmp_path / "pins.py")["mise"]["sha256"]["amd64"] == EXPECTED["mise.sha256.amd64"]
    assert written(tmp_path / "pins.py")["node"]["sha256"]["amd64"] is None


@pytest.mark.slow
def test_check_tells_what_is_unset(arguments: list[str], tmp_path: Path) -> None:
    done = signalbox(*arguments, "--check", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["unset"] == unset(PINS)
    (tmp_path / "group_data").mkdir()
    digest = {"litellm": {"digest": f"sha256:{'0' * 64}"}}
    inventory = tmp_path / "hosts.py"
    inventory.write_text(f"boxes = [('@fake/box1', {{'pins': {digest!r}}})]\n")
    done = signalbox(*arguments, "--check", "litellm", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["pin", "--host", "box1", "--output", "pins.py"], "there is no project here"),
        (["pin", "--inventory", "nowhere.py"], "nowhere.py does not exist"),
        (["pin", "nodejs"], "'nodejs' is not one of 'mise', 'node', 'claude_code', 'litellm'"),
        (["settings", "--inventory", "hosts.py", "--host", "box9"], "--limit: write one of @fake/box1"),
    ],
)
def test_wrong_usage(wrong: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "hosts.py").write_text("boxes = ['@fake/box1']\n")
    done = signalbox(*wrong, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr


# ---- newer versions ----

NEWER = {"mise": None, "node": "22.99.0", "claude_code": "9.9.9", "litellm": "1.999.0"}


@pytest.fixture
def ahead(plain: Mirror, tmp_path: Path) -> list[str]:
    """Mirrors that have newer versions, and settings that are pinned to the older ones."""
    node, claude, litellm = NEWER["node"], NEWER["claude_code"], NEWER["litellm"]
    lists = [{"version": f"v{each}"} for each in ("99.0.0", "22.9.9", node, NODE)]
    plain.files["/dist/index.json"] = json.dumps(lists).encode()
    plain.files[f"/dist/v{node}/SHASUMS256.txt"] = f"{sha256(b'newer')}  node-v{node}-linux-x64.tar.gz".encode()
    scope = "@anthropic-ai/claude-code"
    for name in ("", "-linux-x64"):
        version: dict[str, Any] = {
            "name": scope + name,
            "version": claude,
            "dist": {"integrity": integrity(f"newer{name}".encode()), "tarball": f"{plain.url}/newer.tgz"},
        }
        if not name:
            version["optionalDependencies"] = {f"{scope}-linux-x64": claude}
        package = json.loads(plain.files[f"/npm/{scope}{name}"])
        package["versions"][claude] = version
        package["dist-tags"]["latest"] = claude
        plain.files[f"/npm/{scope}{name}"] = json.dumps(package).encode()
        plain.files[f"/npm/{scope}{name}/{claude}"] = json.dumps(version).encode()
    tags = [LITELLM, "1.99.0", str(litellm), "2.0.0-nightly", "main-latest", "sha256-abc.sig"]
    plain.tags = [tags[:2], tags[2:]]
    pinned = merge(PINS.model_dump(), {"node": {"sha256": {"amd64": "a" * 64, "arm64": "b" * 64}}})
    (tmp_path / "pins.py").write_text(f"# mine\npins = {pinned!r}  # kept\n")
    sections = sections_for(plain) | {"pins": pinned}
    (tmp_path / "hosts.py").write_text(f"boxes = [('@fake/box1', {sections!r})]\n")
    return ["--inventory", str(tmp_path / "hosts.py")]


@pytest.mark.slow
def test_outdated_names_what_is_behind_and_what_cannot_tell(ahead: list[str], tmp_path: Path) -> None:
    done = signalbox("outdated", *ahead, "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert {each["pin"]: each["newest"] for each in told["outdated"]} == {
        name: version for name, version in NEWER.items() if version
    }
    assert "has no list of versions; name the one you want: signalbox upgrade mise=VERSION" in done.stderr
    assert done.returncode == 1


@pytest.mark.slow
def test_upgrade_writes_new_checksums_and_unsets_what_is_not_offered(ahead: list[str], tmp_path: Path) -> None:
    file = tmp_path / "pins.py"
    before = file.read_text()
    output = ["--output", str(file)]
    done = signalbox("upgrade", "node", "litellm", *ahead, *output, cwd=tmp_path)
    assert (done.returncode, file.read_text()) == (1, before), "nobody said yes"
    done = signalbox("upgrade", "node", "claude_code", *ahead, *output, "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pins = written(file)
    assert pins["node"] == {"version": NEWER["node"], "sha256": {"amd64": sha256(b"newer"), "arm64": None}}
    assert pins["claude_code"]["integrity"] == {
        "package": integrity(b"newer"),
        "amd64": integrity(b"newer-linux-x64"),
        "arm64": None,
    }
    assert pins["litellm"]["version"] == LITELLM
    assert json.loads((tmp_path / "pins.earlier.json").read_text()) == [
        merge(PINS.model_dump(), {"node": {"sha256": {"amd64": "a" * 64, "arm64": "b" * 64}}})
    ]


@pytest.mark.slow
def test_upgrade_goes_on_where_one_mirror_cannot_tell(ahead: list[str], tmp_path: Path) -> None:
    file = tmp_path / "pins.py"
    done = signalbox("upgrade", *ahead, "--output", str(file), "--yes", cwd=tmp_path)
    assert "has no list of versions; name the one you want: signalbox upgrade mise=VERSION" in done.stderr
    assert done.returncode == 1
    # Nor has the mirror an image of the tag that it lists.
    told = {name: section["version"] for name, section in written(file).items()}
    assert told == {**NEWER, "mise": PINS.mise.version, "litellm": LITELLM}


@pytest.mark.slow
def test_the_mirrors_of_inventory_py_are_asked_without_a_word(ahead: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text((tmp_path / "hosts.py").read_text())
    assert (
        signalbox("outdated", "--json", cwd=tmp_path).stdout
        == signalbox("outdated", *ahead, "--json", cwd=tmp_path).stdout
    )
    inventory.write_text(inventory.read_text().replace("boxes = [", "boxes = ['@fake/box2', "))
    done = signalbox("outdated", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "differ in mirrors or extra_ca_certificates or pins; name the one that is meant: @fake/box2, @fake/box1"
        in done.stderr
    )


def test_pins_that_a_group_has_are_not_written_below_it(ahead: list[str], tmp_path: Path) -> None:
    done = signalbox("upgrade", "node", *ahead, "--yes", cwd=tmp_path)
    assert done.returncode == 1
    assert "pins are set by host, too, which beats pins.py" in done.stderr


def test_upgrade_back_returns_to_the_set_of_before(ahead: list[str], tmp_path: Path) -> None:
    file = tmp_path / "pins.py"
    before = written(file)
    output = ["--output", str(file), "--yes"]
    assert signalbox("upgrade", "node", *ahead, *output, cwd=tmp_path).returncode == 0
    assert written(file) != before
    # The settings are now those of the file: an inventory that says otherwise would hide the change.
    hosts = tmp_path / "hosts.py"
    hosts.write_text(
        hosts.read_text().split("boxes = ")[0] + f"boxes = [('@fake/box1', {{'pins': {written(file)!r}}})]"
    )
    done = signalbox("upgrade", "--back", *ahead, *output, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(file) == before
    done = signalbox("upgrade", "--back", *ahead, *output, cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no earlier set to return to" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "message", "status"),
    [
        (["upgrade", "nodejs"], "'nodejs' is not one of mise, node, claude_code, litellm", 2),
        (["upgrade", "--back", "node"], "--back returns to the whole set", 2),
        (["upgrade", "claude_code=2.1.266"], "is broken on endpoints other than Anthropic's", 1),
        (["upgrade", "node=22.0.99"], "answers 404; is node 22.0.99 there?", 1),
    ],
)
def test_upgrade_refuses(wrong: list[str], message: str, status: int, ahead: list[str], tmp_path: Path) -> None:
    before = (tmp_path / "pins.py").read_text()
    done = signalbox(*wrong, *ahead, "--output", str(tmp_path / "pins.py"), "--yes", cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert (tmp_path / "pins.py").read_text() == before
    assert not (tmp_path / "pins.earlier.json").exists()
