"""What a model server says of its context, and what follows from it, with servers that really answer."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from signalbox.facts import ModelServers
from signalbox.lanes import lane_records
from signalbox.launcher import context, probes
from signalbox.readings import readings
from signalbox.settings import Settings
from tests.good_settings import layers
from tests.lab.simulators import Running, running

KINDS = {
    "lm_studio": ("lmstudio", "qwen/qwen3.6-35b-a3b"),
    "ollama": ("ollama", "gemma4:26b-a4b"),
    "llama_cpp": ("llamacpp", "any"),
    "vllm": ("vllm", "devstral"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


@pytest.fixture(autouse=True)
def _afresh(lab: Running) -> None:
    lab.control.clear()


def reading(lab: Running, kind: str, **model: Any) -> dict[str, Any]:
    server, name = KINDS[kind]
    url = getattr(lab, server).replace("127.0.0.1", "localhost")
    backend = {"kind": kind, "url": url, "models": {"local": {"id": name, **model}}}
    through = {"local-private": {"enabled": False}}  # no lane goes there directly
    data = {"backends": {"lmstudio": backend}, "rootless_docker": {"host_loopback": True}, "lanes": through}
    (found,) = readings(Settings.from_layers(layers(data), host="box1"))
    return found


def as_the_host_sees_it(*asked: dict[str, Any]) -> list[dict[str, int | None]]:
    fact = ModelServers()
    command = fact.command(urls=tuple(each["url"] for each in asked), seconds=2)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    told = fact.process(done.stdout.splitlines())
    return [{"context": context.loaded(told[each["url"]], each)} if each["url"] in told else {} for each in asked]


def load(lab: Running, kind: str, tokens: int | None) -> None:
    server, name = KINDS[kind]
    if kind == "lm_studio":
        body = {"instance_id": name} if tokens is None else {"model": name, "context_length": tokens}
        verb = "unload" if tokens is None else "load"
        requests.post(f"{lab.lmstudio}/api/v1/models/{verb}", json=body, timeout=10).raise_for_status()
    else:
        lab.control.options(server, **({"loaded": tokens} if kind == "ollama" else {"context_length": tokens}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [4096, 65536])
def test_the_loaded_context_is_read_from_the_host(lab: Running, kind: str, tokens: int) -> None:
    load(lab, kind, tokens)
    assert as_the_host_sees_it(reading(lab, kind)) == [{"context": tokens}]


@pytest.mark.parametrize("kind", ["lm_studio", "ollama"])
def test_what_is_not_loaded_has_no_context(lab: Running, kind: str) -> None:
    load(lab, kind, None)
    assert as_the_host_sees_it(reading(lab, kind)) == [{"context": None}]


def test_a_server_that_is_off_tells_nothing(lab: Running) -> None:
    lab.control.fault("vllm", "refuse")
    seen = as_the_host_sees_it(reading(lab, "vllm"), reading(lab, "llama_cpp"))
    lab.control.heal()
    assert seen == [{}, {"context": 32768}]


def test_garbage_is_no_context(lab: Running) -> None:
    found = reading(lab, "lm_studio")
    for answer in (None, [], {"models": "x"}, {"models": [7, {"key": found["model"]}]}, {"data": {}}):
        assert context.loaded(answer, found) is None


def test_too_little_is_refused_with_the_servers_own_cure(lab: Running) -> None:
    ((grave, said),) = context.verdicts(8192, reading(lab, "lm_studio"))
    assert grave == "refused"
    assert "8192 tokens, below the 32768 that Claude Code needs" in said
    assert "lms load qwen/qwen3.6-35b-a3b --context-length 32768 --yes" in said
    # Ollama is told with each request of the gateway, so that what is loaded now need not last.
    assert [grave for grave, _ in context.verdicts(8192, reading(lab, "ollama"))] == ["warning"]


def test_less_than_the_settings_say_or_a_session_needs_is_a_warning(lab: Running) -> None:
    wide = reading(lab, "vllm", context_length=65536)
    assert "write 40960, or there: vllm serve devstral --max-model-len 65536" in next(context.verdicts(40960, wide))[1]
    narrow = reading(lab, "vllm")
    assert "an interactive session needs 42096" in next(context.verdicts(32768, narrow))[1]
    assert list(context.verdicts(65536, wide)) == []


WINDOW = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "65536", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "16384"}


def lane(*found: dict[str, Any]) -> dict[str, Any]:
    return {"via": "gateway", "readings": list(found), "environment": dict(WINDOW)}


def test_a_launch_gets_the_window_that_is_loaded_now(lab: Running, capsys: pytest.CaptureFixture[str]) -> None:
    load(lab, "llama_cpp", 40960)
    fitted = probes.fitted(lane(reading(lab, "llama_cpp", context_length=65536)), None, interactive=False)
    assert fitted["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "40960"
    assert fitted["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "10240"  # its answers fit, too
    assert "write 40960, or there: llama-server -c 65536" in capsys.readouterr().err


def test_a_launch_is_refused_when_no_server_has_enough(lab: Running, capsys: pytest.CaptureFixture[str]) -> None:
    load(lab, "llama_cpp", 8192)
    small, good = reading(lab, "llama_cpp"), reading(lab, "vllm")
    with pytest.raises(SystemExit) as ended:
        probes.fitted(lane(small), None, interactive=False)
    assert ended.value.code == 78
    assert "llama-server -c 32768 -np 1" in capsys.readouterr().err
    fitted = probes.fitted(lane(small, good), None, interactive=False)
    assert fitted["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "32768"


def test_of_a_server_that_wants_a_token_the_gateway_is_asked(lab: Running, tmp_path: Path) -> None:
    (tmp_path / "signalbox").mkdir()
    (tmp_path / "signalbox/models").write_text('{"vllm/local": 40960}')
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, args=(0.02,))
        thread.start()
        at = {"url": f"http://127.0.0.1:{gateway.server_address[1]}"}
        keyed = {**reading(lab, "vllm"), "url": "http://127.0.0.1:9/nobody", "id": "vllm/local", "keyed": True}
        try:
            fitted = probes.fitted(lane(keyed), None, at, interactive=False)
            direct = probes.fitted({**lane(keyed), "via": "direct"}, None, at, interactive=False)
        finally:
            gateway.shutdown()
            thread.join()
    assert fitted["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "40960"
    assert direct["environment"] == WINDOW


def test_ollama_must_be_loaded_with_enough_where_a_lane_goes_there_directly() -> None:
    backend = {"kind": "ollama", "url": "http://192.168.1.21:11434", "models": {"local": {"id": "gemma4:26b-a4b"}}}
    settings = Settings.from_layers(layers({"backends": {"lmstudio": backend}}), host="box1")
    lanes = lane_records(settings)["lanes"]
    asked = {name: each["on_demand"] for name in ("local", "local-private") for each in lanes[name]["readings"]}
    assert asked == {"local": True, "local-private": False}
    assert [each["on_demand"] for each in readings(settings)] == [False]
    through = Settings.from_layers(
        layers({"backends": {"lmstudio": backend}, "lanes": {"local-private": {"enabled": False}}}), host="box1"
    )
    assert [each["on_demand"] for each in readings(through)] == [True]


def test_a_server_that_is_off_at_launch_stops_nothing(lab: Running) -> None:
    lab.control.fault("vllm", "refuse")
    given = lane(reading(lab, "vllm"))
    assert probes.fitted(given, None, interactive=True) == given
    lab.control.heal()
