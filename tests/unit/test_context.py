"""What a model server says of its context, and what follows from it, with servers that really answer."""

from __future__ import annotations

import functools
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from signalbox.desired.context_readings import readings
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.facts import ModelServers
from signalbox.host.launcher import probes
from signalbox.host.shared import context
from signalbox.settings import Settings
from tests.good_settings import layers, routed
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
    (found,) = readings(*routed(Settings.from_layers(layers(data), host="box1")))
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
    assert "lms load qwen/qwen3.6-35b-a3b --context-length 65536 --yes" in said
    # Ollama is told with each request of the gateway, so that what is loaded now need not last.
    assert [grave for grave, _ in context.verdicts(8192, reading(lab, "ollama"))] == ["warning"]


def test_less_than_the_settings_say_or_a_session_needs_is_a_warning(lab: Running) -> None:
    wide = reading(lab, "vllm", context_length=65536)
    assert "write 40960, or there: vllm serve devstral --max-model-len 65536" in next(context.verdicts(40960, wide))[1]
    narrow = reading(lab, "vllm")
    assert "an interactive session needs 51596" in next(context.verdicts(32768, narrow))[1]
    assert list(context.verdicts(65536, wide)) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [None, 8192, 32768, 40960])
@pytest.mark.parametrize("model", [{}, {"context_length": 65536, "max_output_tokens": 16384}])
def test_a_cure_leaves_nothing_to_be_said(lab: Running, kind: str, tokens: int | None, model: dict[str, Any]) -> None:
    given = reading(lab, kind, **model)
    for _, said in context.verdicts(tokens, given):
        (cured,) = {int(each) for each in re.findall(r"\b\d{5,}\b", said.rpartition("; ")[2]) if int(each) != tokens}
        mended = {**given, "context_length": cured} if "context_length = " in said else given
        assert list(context.verdicts(cured, mended)) == []


def test_a_lean_lane_opens_with_less(lab: Running) -> None:
    asked = reading(lab, "lm_studio", context_length=32768, max_output_tokens=4096)
    assert [grave for grave, _ in context.verdicts(32768, asked)] == ["warning"]
    assert list(context.verdicts(32768, {**asked, "opening": context.LEAN})) == []
    lanes = lane_records(*routed(Settings.from_layers(layers(), host="box1")))["lanes"]
    opening = {name: {each.get("opening") for each in lane["readings"]} for name, lane in lanes.items()}
    assert opening["local"] == {context.LEAN}
    assert opening["routed"] <= {None}


def test_a_model_that_each_request_loads_is_cured_in_the_settings(lab: Running) -> None:
    assert "write context_length = 65536 for it, and deploy" in next(context.verdicts(32768, reading(lab, "ollama")))[1]


WINDOW = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "65536", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "16384"}


def lane(*found: dict[str, Any]) -> dict[str, Any]:
    return {"via": "gateway", "readings": list(found), "environment": dict(WINDOW)}


def test_a_launch_gets_the_window_that_is_loaded_now(lab: Running, capsys: pytest.CaptureFixture[str]) -> None:
    load(lab, "llama_cpp", 40960)
    fitted = probes.fitted(lane(reading(lab, "llama_cpp", context_length=65536)), None, interactive=False)
    assert fitted["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "40960"
    assert fitted["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "10240"  # its answers fit, too
    assert "write 40960, or there: llama-server -c 65536" in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [32768, 65536, 131072])
def test_what_is_loaded_is_told_whatever_the_settings_say(lab: Running, tokens: int) -> None:
    load(lab, "llama_cpp", tokens)
    given = lane(reading(lab, "llama_cpp"))
    given["environment"] |= {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "32768", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4096"}
    fitted = probes.fitted(given, None, interactive=False)["environment"]
    assert fitted["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == str(tokens)
    assert fitted["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "4096"


def test_more_is_not_told_where_a_request_or_another_server_has_less(lab: Running) -> None:
    load(lab, "ollama", 65536)  # and the gateway's request loads it anew with context_length
    assert told(lane(reading(lab, "ollama"))) == "32768"
    load(lab, "llama_cpp", 131072)
    silent = {"id": "webui/local", "url": None, "context_length": 49152}
    lab.control.fault("vllm", "refuse")
    off = reading(lab, "vllm", context_length=40960)
    more = reading(lab, "llama_cpp")
    assert told(lane(more)) == "131072"
    assert told(lane(more, silent)) == "49152"
    assert told(lane(more, silent, off)) == "40960"
    lab.control.heal()


def told(given: dict[str, Any]) -> str:
    return str(probes.fitted(given, None, interactive=False)["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"])


def test_a_server_that_does_not_tell_is_known_to_the_lane() -> None:
    backend = {
        "kind": "openai_compatible",
        "url": "http://192.168.1.9:3000/api",
        "models": {"local": {"id": "g", "context_length": 40960}},
    }
    both = {"backends": {"webui": backend}, "lanes": {"local-private": {"enabled": False}}}
    asked = lane_records(*routed(Settings.from_layers(layers(both), host="box1")))["lanes"]["local"]["readings"]
    assert [(each["id"], each["url"] is None) for each in asked] == [("lmstudio/local", False), ("webui/local", True)]


def test_a_launch_is_refused_when_no_server_has_enough(lab: Running, capsys: pytest.CaptureFixture[str]) -> None:
    load(lab, "llama_cpp", 8192)
    small, good = reading(lab, "llama_cpp"), reading(lab, "vllm")
    with pytest.raises(SystemExit) as ended:
        probes.fitted(lane(small), None, interactive=False)
    assert ended.value.code == 78
    assert "llama-server -c 65536 -np 1" in capsys.readouterr().err
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
    lanes = lane_records(settings, routing_table(settings))["lanes"]
    asked = {name: each["on_demand"] for name in ("local", "local-private") for each in lanes[name]["readings"]}
    assert asked == {"local": True, "local-private": False}
    assert [each["on_demand"] for each in readings(settings, routing_table(settings))] == [False]
    through = Settings.from_layers(
        layers({"backends": {"lmstudio": backend}, "lanes": {"local-private": {"enabled": False}}}), host="box1"
    )
    assert [each["on_demand"] for each in readings(through, routing_table(through))] == [True]


def outlook(lab: Running, *off: str, **more: Any) -> list[str]:
    local = {"vllm": f"{lab.vllm}/v1/models"}
    for each in off:
        lab.control.fault(each, "refuse")
    try:
        return list(probes.outlook({"servers": local, "main_servers": local, "instead": [], **more}))
    finally:
        lab.control.heal()


def test_who_will_answer_and_pay_is_said_before_the_first_prompt(lab: Running) -> None:
    haiku = {"model": "claude-haiku-4-5", "at": "anthropic", "billed": "the account of KEY"}
    assert outlook(lab, instead=[haiku]) == []
    (said,) = outlook(lab, "vllm", instead=[haiku])
    assert "vllm does not answer at http://" in said
    assert said.endswith(": until then claude-haiku-4-5 at anthropic answers, billed to the account of KEY")
    (said,) = outlook(lab, "vllm", instead=[{"model": "small", "at": "shelf", "billed": None}])
    assert said.endswith("small at shelf answers, free")
    (said,) = outlook(lab, "vllm")
    assert "nobody answers until then" in said


def test_a_cloud_that_is_off_is_said_too(lab: Running) -> None:
    cloud = {"anthropic": f"{lab.anthropic}/v1/models"}
    assert outlook(lab, servers={}, main_servers=cloud) == []
    (said,) = outlook(lab, "anthropic", servers={}, main_servers=cloud)
    assert "anthropic does not answer" in said
    assert "nobody answers" in said
    (said,) = outlook(lab, "vllm", main_servers=cloud)
    assert said == "vllm does not answer: until then background work is billed, or not done"
    assert outlook(lab, "vllm", main_servers={}) == []  # a direct lane is asked itself, and ends


def test_a_server_that_is_off_at_launch_stops_nothing(lab: Running) -> None:
    lab.control.fault("vllm", "refuse")
    given = lane(reading(lab, "vllm"))
    assert probes.fitted(given, None, interactive=True) == given
    lab.control.heal()
