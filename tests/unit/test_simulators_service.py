"""The simulators as a service of the lab, and their command line."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner, Result

from tests.lab.simulators import (
    Client,
    ControlError,
    Running,
    ServiceError,
    credentials,
    running,
    settings,
    start,
    stop,
)
from tests.lab.simulators.__main__ import main
from tests.lab.simulators.client import STATE_FILE
from tests.lab.simulators.personalities import personalities

ROOT = Path(__file__).parents[2]
FREE = dict.fromkeys(("control", *(each.name for each in personalities())), 0)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Running]:
    with running(state) as simulators:
        yield simulators


def simulators(*arguments: str, control: str = "") -> Result:
    environment = {"SIMULATORS_CONTROL": control, "COLUMNS": "200"}
    return CliRunner().invoke(main, arguments, env=environment, prog_name="simulators")


@pytest.mark.usefixtures("lab")
def test_starting_again_changes_nothing(state: Path) -> None:
    before = (state / STATE_FILE).read_text()
    start("127.0.0.1", state, FREE)
    assert (state / STATE_FILE).read_text() == before


def test_only_the_given_address(lab: Running) -> None:
    for url in (lab.anthropic, lab.lmstudio, lab.control.control):
        port = urlsplit(url).port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=2).close()


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    start("127.0.0.1", tmp_path, FREE)
    told = json.loads((tmp_path / STATE_FILE).read_text())
    assert Path(f"/proc/{told['pid']}").exists()
    stop(tmp_path)
    assert not Path(f"/proc/{told['pid']}").exists()
    assert not (tmp_path / STATE_FILE).exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(told["servers"]["lmstudio"], timeout=2)
    stop(tmp_path)  # nothing there is fine
    with pytest.raises(ServiceError, match="no simulators run with the state directory"):
        settings("127.0.0.1", tmp_path)
    with pytest.raises(ControlError, match="no simulators were started"):
        Client.of(tmp_path)


def test_after_a_kill_it_starts_again(tmp_path: Path) -> None:
    start("127.0.0.1", tmp_path, FREE)
    pid = json.loads((tmp_path / STATE_FILE).read_text())["pid"]
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    start("127.0.0.1", tmp_path, FREE)
    try:
        assert json.loads((tmp_path / STATE_FILE).read_text())["pid"] != pid
    finally:
        stop(tmp_path)


def test_another_process_with_that_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / STATE_FILE).write_text(json.dumps({"pid": stranger.pid, "control": "http://127.0.0.1:1"}))
        stop(tmp_path)
        time.sleep(0.2)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_that_is_taken(lab: Running, tmp_path: Path) -> None:
    taken = urlsplit(lab.lmstudio).port
    assert taken is not None
    with pytest.raises(ServiceError, match="address already in use"):
        start("127.0.0.1", tmp_path, FREE | {"lmstudio": taken})


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="is the address not this machine's"):
        start("192.0.2.1", tmp_path, FREE)


def test_settings_fit_the_settings(lab: Running, state: Path) -> None:
    """Every name exists in group_data/all.py, so a host's settings take them as they are."""
    source = ast.parse((ROOT / "group_data/all.py").read_text())
    known = {node.targets[0].id: node.value for node in source.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    told = settings("127.0.0.1", state)
    assert set(told) == {"backends", "clouds"}
    for section, records in told.items():
        defaults = ast.literal_eval(known[section])
        for name, record in records.items():
            assert set(record) <= set(defaults[name])
            assert set(record.get("models", {})) <= set(defaults[name]["models"])
    assert told["clouds"]["anthropic"]["url"] == lab.anthropic
    model = told["backends"]["lmstudio"]["models"]["local"]["id"]
    assert model in [m["id"] for m in requests.get(f"{lab.lmstudio}/v1/models", timeout=20).json()["data"]]
    assert "ANTHROPIC_DIRECT_KEY" in credentials()
    assert all("lab" in secret.lower() for secret in credentials().values())


# ---- the command line ----


def test_help_teaches() -> None:
    command = [sys.executable, "-m", "tests.lab.simulators", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for word in ("serve", "fault", "requests", "clear", "run: CMD", "fault lmstudio 500 --times 1"):
        assert word in told
    assert "refuse" in simulators("fault", "--help").stdout


def test_fault_requests_clear(lab: Running) -> None:
    control = lab.control.control
    made = simulators("fault", "lmstudio", "500", "--times", "1", "--path", "/v1/*", control=control)
    assert (made.exit_code, json.loads(made.stdout)["kind"]) == (0, "500")
    assert lab.control.faults()[0]["times"] == 1
    requests.get(f"{lab.lmstudio}/v1/models", timeout=20)
    shown = simulators("requests", control=control)
    assert "GET /v1/models" in shown.stdout
    assert "500" in shown.stdout
    assert json.loads(simulators("requests", "--json", control=control).stdout)[0]["path"] == "/v1/models"
    assert simulators("clear", control=control).exit_code == 0
    assert lab.control.requests() == []


def test_wrong_use(lab: Running) -> None:
    assert simulators("fault", "lmstudio", "502").exit_code == 2
    assert simulators("serve", "--port", "lmstudio").exit_code == 2
    refused = simulators("fault", "lmstudio", "refuse", "--times", "1", control=lab.control.control)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "refuse closes the listener" in refused.stderr
    alone = simulators("requests", control="http://127.0.0.1:1")
    assert alone.exit_code == 1
    assert alone.stderr.startswith("Error: nothing answers at http://127.0.0.1:1; are the simulators up?")
