"""The control channel: failures on demand, and the record of what was asked."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.lab.simulators import ControlError, Running, credentials, running
from tests.lab.simulators.client import REQUEST_LOG

KEY = credentials()["ANTHROPIC_DIRECT_KEY"]
CHAT = {"model": "qwen/qwen3.6-35b-a3b", "messages": [{"role": "user", "content": "count to 40"}]}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture(scope="module")
def started(state: Path) -> Iterator[Running]:
    with running(state) as simulators:
        yield simulators


@pytest.fixture
def lab(started: Running) -> Iterator[Running]:
    started.control.clear()
    yield started
    started.control.clear()


def chat(lab: Running, timeout: float = 5, **changes: Any) -> requests.Response:
    return requests.post(f"{lab.lmstudio}/v1/chat/completions", json=CHAT | changes, timeout=timeout)


def models(lab: Running) -> requests.Response:
    return requests.get(f"{lab.lmstudio}/v1/models", timeout=20)


def claude(lab: Running, **changes: Any) -> requests.Response:
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | changes
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    return requests.post(f"{lab.anthropic}/v1/messages", json=body, headers=headers, timeout=20)


def test_times_are_counted(lab: Running) -> None:
    lab.control.fault("lmstudio", "500", times=2)
    assert [chat(lab).status_code for _ in range(3)] == [500, 500, 200]
    assert lab.control.faults() == []


def test_without_times_it_lasts_until_it_is_healed(lab: Running) -> None:
    lab.control.fault("lmstudio", "503")
    assert [chat(lab).status_code for _ in range(3)] == [503] * 3
    lab.control.heal("lmstudio")
    assert chat(lab).status_code == 200


def test_the_oldest_fault_comes_first(lab: Running) -> None:
    lab.control.fault("lmstudio", "500", times=1)
    lab.control.fault("lmstudio", "503", times=1)
    assert [chat(lab).status_code for _ in range(3)] == [500, 503, 200]


def test_one_server_one_path_one_model(lab: Running) -> None:
    lab.control.fault("lmstudio", "500", path="/v1/chat/*")
    lab.control.fault("anthropic", "529", model="claude-opus-*")
    assert (chat(lab).status_code, models(lab).status_code) == (500, 200)
    assert (claude(lab).status_code, claude(lab, model="claude-opus-4-8").status_code) == (200, 529)
    lab.control.heal("lmstudio")
    assert (chat(lab).status_code, claude(lab, model="claude-opus-4-8").status_code) == (200, 529)


def test_refuse_is_a_refused_connection(lab: Running) -> None:
    where = urlsplit(lab.lmstudio)
    kept = requests.Session()
    assert kept.get(f"{lab.lmstudio}/v1/models", timeout=20).ok
    lab.control.fault("lmstudio", "refuse")
    with socket.socket() as client:
        assert client.connect_ex((where.hostname, where.port)) == errno.ECONNREFUSED
    with pytest.raises(requests.ConnectionError):  # a connection from before is no way in
        kept.get(f"{lab.lmstudio}/v1/models", timeout=20)
    assert lab.control.servers()["lmstudio"]["listening"] is False
    assert claude(lab).status_code == 200
    lab.control.heal()
    assert models(lab).status_code == 200  # on the same port


def test_refuse_ends_what_is_under_way(lab: Running) -> None:
    lab.control.fault("lmstudio", "stall", after_chunks=1)
    with requests.post(
        f"{lab.lmstudio}/v1/chat/completions", json=CHAT | {"stream": True}, stream=True, timeout=20
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith(b"data: ")
        lab.control.fault("lmstudio", "refuse")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(lines)


def test_hang_and_stall_for_a_while(lab: Running) -> None:
    for kind in ("hang", "stall"):
        lab.control.fault("lmstudio", kind, seconds=0.5, times=1)
        began = time.monotonic()
        assert chat(lab).json()["choices"][0]["message"]["content"].startswith("1 2 3")
        assert 0.5 <= time.monotonic() - began < 15


def test_healing_ends_what_hangs(lab: Running) -> None:
    lab.control.fault("lmstudio", "stall", after_chunks=2)
    with requests.post(
        f"{lab.lmstudio}/v1/chat/completions", json=CHAT | {"stream": True}, stream=True, timeout=20
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        lab.control.heal()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(lines)


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_half_of_an_answer_that_does_not_stream(lab: Running, kind: str) -> None:
    lab.control.fault("lmstudio", kind, times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        chat(lab, timeout=1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"server": "lmstudio", "kind": "502"}, "kind: Input should be '401', '402', '429', '500'"),
        ({"server": "lmstudio", "kind": "500", "time": 1}, "time: Extra inputs are not permitted"),
        ({"server": "lmstudio", "kind": "500", "times": 0}, "times: Input should be greater than or equal to 1"),
        ({"server": "nosuch", "kind": "500"}, "no server 'nosuch'; there are: lmstudio"),
        ({"server": "lmstudio", "kind": "refuse", "times": 1}, "refuse closes the listener for everyone"),
        ({"server": "lmstudio", "kind": "500", "seconds": 1}, "seconds is for hang and stall"),
    ],
)
def test_faults_that_cannot_be(lab: Running, fault: dict[str, Any], message: str) -> None:
    with pytest.raises(ControlError, match=message):
        lab.control.fault(**fault)
    assert lab.control.faults() == []


def test_options(lab: Running) -> None:
    assert lab.control.options("lmstudio") == {"habit": "", "require_authentication": False, "without": ""}
    assert lab.control.options("lmstudio", require_authentication=True) == {
        "habit": "",
        "require_authentication": True,
        "without": "",
    }
    assert models(lab).status_code == 401
    with pytest.raises(ControlError, match="unknown options: shiny; there are: require_authentication, habit"):
        lab.control.options("lmstudio", shiny=True)
    with pytest.raises(ControlError, match="the simulated Claude API has none"):
        lab.control.options("anthropic", shiny=True)
    lab.control.clear()
    assert models(lab).status_code == 200


# ---- the record ----


def test_every_request_is_recorded(lab: Running) -> None:
    claude(lab, messages=[{"role": "user", "content": "recorded"}])
    lab.control.fault("lmstudio", "500", times=1)
    chat(lab)
    chat(lab, stream=True)
    requests.post(f"{lab.lmstudio}/v1/chat/completions?a=1", data="not JSON", timeout=20)
    first, failed, streamed, broken = lab.control.requests()
    assert (first["server"], first["method"], first["path"], first["status"]) == (
        "anthropic",
        "POST",
        "/v1/messages",
        200,
    )
    assert (first["model"], first["body"]["messages"][0]["content"]) == ("claude-sonnet-4-6", "recorded")
    assert (first["fault"], first["chunks"], first["complete"]) == (None, None, True)
    assert (failed["status"], failed["fault"]) == (500, "500")
    assert (streamed["status"], streamed["complete"]) == (200, True)
    assert streamed["chunks"] == 23  # a role, 20 pieces of two numbers, an end, [DONE]
    assert (broken["body"], broken["query"], broken["status"]) == ("not JSON", {"a": "1"}, 400)
    assert [r["server"] for r in lab.control.requests("lmstudio")] == ["lmstudio"] * 3
    assert [r["number"] for r in lab.control.requests()] == sorted(r["number"] for r in lab.control.requests())


def test_what_was_cut_is_recorded_as_such(lab: Running) -> None:
    lab.control.fault("lmstudio", "cut", after_chunks=2, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        chat(lab, stream=True)
    lab.control.fault("lmstudio", "drop", times=1)
    with pytest.raises(requests.ConnectionError):
        chat(lab)
    cut, dropped = lab.control.requests()
    assert (cut["chunks"], cut["complete"], cut["fault"]) == (2, False, "cut")
    assert (dropped["status"], dropped["complete"], dropped["fault"]) == (None, False, "drop")


def test_keys_are_never_recorded(lab: Running, state: Path) -> None:
    claude(lab)
    requests.get(f"{lab.anthropic}/v1/models", headers={"authorization": f"Bearer {KEY}"}, timeout=20)
    by_key, by_token = lab.control.requests()
    shown = by_key["headers"]["x-api-key"]
    assert shown.startswith("sha256:")
    assert shown == by_key["credential"] == by_token["credential"] == by_token["headers"]["authorization"]
    log = (state / REQUEST_LOG).read_text()
    assert shown in log  # so the search below looks where keys would be
    assert KEY not in log
    assert KEY not in json.dumps(lab.control.requests())


def test_the_log_keeps_what_clear_forgets(lab: Running, state: Path) -> None:
    chat(lab, model="remember-me")
    lab.control.clear()
    assert lab.control.requests() == []
    assert any(json.loads(line)["model"] == "remember-me" for line in (state / REQUEST_LOG).read_text().splitlines())


def test_head_has_no_body(lab: Running) -> None:
    address = urlsplit(lab.anthropic)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as connection:
        connection.sendall(b"HEAD /api/hello HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""
