"""The mirror: what it serves is what a host can use, to those who trust it, on its own address only."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab import litellm_names, mirror
from tests.lab.machine import LabError, Process, wait_until
from tests.lab.mirror import clients, packing, servers

BIND = "127.83.66.1"  # loopback, but nobody else's
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("mirror")
    mirror.start(BIND, directory)
    yield directory
    mirror.stop(directory)


@pytest.fixture(scope="module")
def settings(state: Path) -> dict[str, Any]:
    return mirror.settings(BIND, state)


@pytest.fixture(scope="module")
def fetched(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both archives, downloaded, checked as their publishers say to, and unpacked."""
    directory = tmp_path_factory.mktemp("fetched")
    for name, archive in (("mise", "mise-v{}-linux-x64.tar.gz"), ("node", "node-v{}-linux-x64.tar.gz")):
        version = settings["pins"][name]["version"]
        base = f"{settings['mirrors'][name]}/v{version}"
        work = directory / name
        work.mkdir()
        for file in ("SHASUMS256.txt", archive.format(version)):
            (work / file).write_bytes(get(f"{base}/{file}").content)
        subprocess.run(["sha256sum", "--check", "--quiet", "SHASUMS256.txt"], cwd=work, check=True)
        packed = work / archive.format(version)
        assert hashlib.sha256(packed.read_bytes()).hexdigest() == settings["pins"][name]["sha256"]["amd64"]
        subprocess.run(["tar", "-xzf", packed, "-C", directory], check=True)
    return directory


def get(url: str, **keywords: Any) -> requests.Response:
    answer = requests.get(url, timeout=60, proxies={"http": "", "https": ""}, **keywords)
    answer.raise_for_status()
    return answer


def run(*command: object, **environment: str) -> str:
    """Run a command that knows nothing of this machine but `environment`; return its output."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent"} | environment
    done = subprocess.run(
        [str(word) for word in command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_mise_runs_from_its_release_archive(fetched: Path, settings: dict[str, Any], tmp_path: Path) -> None:
    assert run(fetched / "mise/bin/mise", "--version", HOME=str(tmp_path)).startswith(
        settings["pins"]["mise"]["version"]
    )


def test_node_dist_tree_holds_node_npm_and_npx(fetched: Path, settings: dict[str, Any]) -> None:
    version = settings["pins"]["node"]["version"]
    (entry,) = get(f"{settings['mirrors']['node']}/index.json").json()
    assert entry["version"] == f"v{version}"
    assert "linux-x64" in entry["files"]
    bin_directory = fetched / f"node-v{version}-linux-x64/bin"
    assert run(bin_directory / "node", "--version") == f"v{version}"
    for command in ("npm", "npx"):
        assert run(bin_directory / command, "--version", PATH=f"{bin_directory}:/usr/bin:/bin") == entry["npm"]


def test_mise_installs_node_from_the_mirror(fetched: Path, settings: dict[str, Any], tmp_path: Path) -> None:
    version = settings["pins"]["node"]["version"]
    home = {
        "HOME": str(tmp_path),
        "MISE_NODE_MIRROR_URL": settings["mirrors"]["node"] + "/",
        "MISE_USE_VERSIONS_HOST": "0",
        "no_proxy": BIND,
    }
    mise = fetched / "mise/bin/mise"
    assert run(mise, "ls-remote", "node", **home) == version
    run(mise, "use", "--global", f"node@{version}", **home)
    assert run(mise, "exec", "--", "node", "--version", **home) == f"v{version}"


def test_claude_code_integrity_is_that_of_what_npm_delivers(settings: dict[str, Any], tmp_path: Path) -> None:
    pin = settings["pins"]["claude_code"]
    archive = clients.npm_pack(f"@anthropic-ai/claude-code@{pin['version']}", tmp_path / "package")
    computed = run("sh", "-c", 'openssl dgst -sha512 -binary "$0" | base64 -w0', archive)
    assert pin["integrity"]["package"] == f"sha512-{computed}"
    assert len(set(pin["integrity"].values())) == len(pin["integrity"]) == 3
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", value) for value in pin["integrity"].values())


def test_settings_are_literals_of_the_contract(settings: dict[str, Any]) -> None:
    def unknown(given: dict[str, Any], known: dict[str, Any], path: str = "") -> list[str]:
        found = [path + key for key in given if key not in known]
        for key, value in given.items():
            if isinstance(value, dict) and isinstance(known.get(key), dict):
                found += unknown(value, known[key], f"{path}{key}.")
        return found

    contract = runpy.run_path(str(clients.REPOSITORY / "group_data/all.py"))
    assert unknown(settings, contract) == []
    assert unknown({"mirrors": {"nod": ""}}, contract) == ["mirrors.nod"]
    assert ast.literal_eval(repr(settings)) == settings


@pytest.fixture(scope="module")
def pulled(state: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The image's manifest, pulled as an engine does: by digest, over TLS, trusting the lab's authority."""
    digest = settings["pins"]["litellm"]["digest"]
    answer = get(f"{blobs(settings)}/manifests/{digest}", verify=str(state / "ca.crt"), headers={"Accept": MANIFEST})
    assert answer.headers["Content-Type"] == MANIFEST
    assert "sha256:" + hashlib.sha256(answer.content).hexdigest() == digest
    return dict(answer.json())


def blobs(settings: dict[str, Any]) -> str:
    address, _, name = settings["mirrors"]["litellm"].partition("/")
    return f"https://{address}/v2/{name}"


def test_the_registry_is_trusted_through_the_lab_authority_only(state: Path, settings: dict[str, Any]) -> None:
    url = f"https://{BIND}:{servers.REGISTRY_PORT}/v2/"
    assert get(url, verify=settings["extra_ca_certificates"][0]).ok
    for trusted in (True, clients.CA_BUNDLE):
        with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed"):
            get(url, verify=str(trusted) if trusted is not True else True)
    assert (state / "ca.key").stat().st_mode & 0o777 == 0o600


def test_nothing_can_be_pushed(state: Path, settings: dict[str, Any]) -> None:
    answer = requests.post(
        f"{blobs(settings)}/blobs/uploads/", timeout=10, verify=str(state / "ca.crt"), proxies={"https": ""}
    )
    assert answer.status_code == 405


def test_the_image_has_the_official_shape(state: Path, settings: dict[str, Any], pulled: dict[str, Any]) -> None:
    answer = get(f"{blobs(settings)}/blobs/{pulled['config']['digest']}", verify=str(state / "ca.crt"))
    config = answer.json()
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["WorkingDir"] == "/app"
    assert config["config"]["Entrypoint"] == ["/app/docker-entrypoint.sh"]
    assert "Cmd" not in config["config"]
    assert len(config["rootfs"]["diff_ids"]) == len(pulled["layers"]) == 2


@pytest.fixture(scope="module")
def tree(
    state: Path, settings: dict[str, Any], pulled: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The image's root tree, out of the layers that the registry delivers."""
    work = tmp_path_factory.mktemp("image")
    work.chmod(0o755)  # the user inside passes through it
    config = get(f"{blobs(settings)}/blobs/{pulled['config']['digest']}", verify=str(state / "ca.crt")).json()
    for layer, diff_id in zip(pulled["layers"], config["rootfs"]["diff_ids"], strict=True):
        data = get(f"{blobs(settings)}/blobs/{layer['digest']}", verify=str(state / "ca.crt")).content
        assert "sha256:" + hashlib.sha256(data).hexdigest() == layer["digest"]
        assert len(data) == layer["size"]
        plain = subprocess.run(["gzip", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
        assert "sha256:" + hashlib.sha256(plain).hexdigest() == diff_id
        subprocess.run(["tar", "-x", "--numeric-owner", "-C", work], input=plain, check=True)
    return work


@pytest.mark.parametrize("user", ["root", "nonroot"])
def test_the_image_starts_litellm_without_rights(
    tree: Path, settings: dict[str, Any], user: str, tmp_path: Path
) -> None:
    """As the gateway's unit runs it: read-only but /tmp, no capabilities, no new privileges, no database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = {"model": "lm_studio/any", "api_base": "http://127.0.0.1:9/v1", "api_key": "none"}
    config = {
        "model_list": [{"model_name": "local", "litellm_params": model}],
        "general_settings": {"master_key": "sk-of-this-test"},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    tmp_path.chmod(0o755)
    command = [
        "systemd-nspawn", "--quiet", f"--directory={tree}", f"--machine=image-{port}", "--keep-unit", "--register=no",
        "--as-pid2", "--read-only", "--tmpfs=/tmp:mode=1777", "--drop-capability=all", "--no-new-privileges=yes",
        "--resolv-conf=off", "--timezone=off", "--console=pipe", f"--user={user}", "--chdir=/app",
        f"--bind-ro={tmp_path}:/mnt", "--setenv=LITELLM_LOCAL_MODEL_COST_MAP=True",
        "/app/docker-entrypoint.sh", "--config", "/mnt/config.yaml", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "log"
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as it,
    ):
        try:
            assert wait_until(lambda: answers(url) or it.poll() is not None, 90, 0.2), "no answer in 90 s"
            assert it.poll() is None, log.read_text()[-2000:]
            print(f"LiteLLM as {user} answers after {time.monotonic() - started:.1f} s")
            models = f"{url}/v1/models"
            known = requests.get(models, headers={"Authorization": "Bearer sk-of-this-test"}, timeout=30)
            assert [model["id"] for model in known.json()["data"]] == ["local"]
            assert requests.get(models, timeout=30).status_code == 401
        finally:
            it.send_signal(signal.SIGTERM)
            try:
                it.wait(20)
            except subprocess.TimeoutExpired:
                it.kill()
    (installed,) = tree.glob("app/.venv/lib/python3.*/site-packages/litellm-*.dist-info")
    assert installed.name == f"litellm-{settings['pins']['litellm']['version']}.dist-info"


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/liveliness", timeout=5).ok
    except requests.RequestException:
        return False


def pids(state: Path) -> dict[str, int]:
    found = {name: Process.recorded(state / f"{name}.pid") for name in servers.NAMES}
    return {name: process.pid for name, process in found.items() if process}


def listening(pid: int) -> list[str]:
    lines = run("ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes").splitlines()
    return [line.split()[4] for line in lines if f"pid={pid}," in line]


def test_it_listens_on_its_address_only(state: Path) -> None:
    found = pids(state)
    assert listening(found["files"]) == [f"{BIND}:{servers.FILES_PORT}"]
    assert listening(found["registry"]) == [f"{BIND}:{servers.REGISTRY_PORT}"]


def test_starting_again_changes_nothing_and_is_fast(state: Path, settings: dict[str, Any]) -> None:
    before, authority = pids(state), (state / "ca.crt").read_text()
    started = time.monotonic()
    mirror.start(BIND, state)
    assert mirror.settings(BIND, state) == settings
    assert time.monotonic() - started < 2
    assert (pids(state), (state / "ca.crt").read_text()) == (before, authority)


def test_a_killed_server_comes_back_and_stop_ends_both(tmp_path: Path) -> None:
    bind = "127.83.66.2"
    mirror.start(bind, tmp_path)
    try:
        first = pids(tmp_path)
        os.kill(first["registry"], signal.SIGKILL)
        assert wait_until(lambda: "registry" not in pids(tmp_path), 5)
        mirror.start(bind, tmp_path)
        second = pids(tmp_path)
        assert second["files"] == first["files"]
        assert second["registry"] != first["registry"]
    finally:
        mirror.stop(tmp_path)
    assert pids(tmp_path) == {}
    for port in (servers.FILES_PORT, servers.REGISTRY_PORT):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((bind, port), timeout=5)


def test_a_taken_port_is_named_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.83.66.3", servers.REGISTRY_PORT)):
        with pytest.raises(LabError) as told:
            mirror.start("127.83.66.3", tmp_path)
        assert str(told.value) == "the mirror cannot listen on 127.83.66.3:5443: Address already in use"
    with pytest.raises(ConnectionRefusedError):  # the files server had started before
        socket.create_connection(("127.83.66.3", servers.FILES_PORT), timeout=5)
    with pytest.raises(LabError, match="no mirror was started"):
        mirror.settings("127.83.66.3", tmp_path)


def test_archives_depend_on_contents_not_on_times(tmp_path: Path) -> None:
    digests = []
    for number, (names, text) in enumerate((("ab", "1"), ("ba", "1"), ("ab", "2"))):
        tree = tmp_path / str(number) / "tree"
        tree.mkdir(parents=True)
        for name in names:
            (tree / name).write_text(text)
            os.utime(tree / name, (number, number))
        digests.append(packing.pack(tree.parent, ["tree"], tmp_path / f"{number}.tar.gz").sha256)
    assert digests[0] == digests[1] != digests[2]


def test_a_failed_build_leaves_nothing_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fails(directory: Path, version: str) -> None:
        (directory / "half").write_text(version)
        raise LabError("the network went away")

    with pytest.raises(LabError, match="the network went away"):
        packing.cached("thing", "1", packing, fails)
    assert list((tmp_path / "signalbox/lab/mirror").iterdir()) == []
    built = packing.cached("thing", "1", packing, lambda directory, version: (directory / "it").write_text(version))
    assert [path.name for path in built.iterdir()] == ["it"]
    assert packing.cached("thing", "1", packing, fails) == built


def test_uv_takes_over_what_pip_is_configured_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PIP_FILES", (str(tmp_path / "pip.conf"),))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://one.test/simple\n[install]\ncert = /one.pem\n")
    environment = clients.uv_environment({"PIP_CERT": "/two.pem"})
    assert environment["UV_DEFAULT_INDEX"] == "https://one.test/simple"
    assert environment["SSL_CERT_FILE"] == "/two.pem"
    assert clients.uv_environment({})["SSL_CERT_FILE"] == "/one.pem"
    assert "UV_DEFAULT_INDEX" not in clients.uv_environment({"UV_INDEX_URL": "https://four.test/simple"})


@pytest.mark.skipif(not shutil.which("npm"), reason="the npm of the Python environment is the only one here")
def test_an_npm_registry_of_the_machine_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.83.66.9/npm/")
    assert clients.npm_registry() == "http://127.83.66.9/npm/"


def test_litellm_has_what_the_gateway_relies_on(tree: Path) -> None:
    """By name and parameters, as stubs/ say; another LiteLLM is told by what it has otherwise."""
    container = ["systemd-nspawn", "--quiet", f"--directory={tree}", f"--machine=names-{os.getpid()}", "--keep-unit",
                 "--register=no", "--as-pid2", "--read-only", "--tmpfs=/tmp:mode=1777", "--resolv-conf=off",
                 "--timezone=off", "--console=pipe", "--private-network", "--chdir=/app",
                 "--setenv=LITELLM_LOCAL_MODEL_COST_MAP=True"]  # fmt: skip
    compare = litellm_names.command("/app/.venv/bin/python")
    compared = subprocess.run([*container, *compare], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (compared.returncode, compared.stdout) == (0, ""), compared.stderr[-2000:]
