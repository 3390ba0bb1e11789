"""The simulated clouds: each one's own paths, keys, refusals and words."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.lab.simulators import Running, credentials, running
from tests.lab.simulators.personalities import bedrock, vertex

HELLO = [{"role": "user", "content": "say hello"}]
PARTS = [{"role": "user", "parts": [{"text": "say hello"}]}]
CLAUDE = {"max_tokens": 64, "messages": HELLO}
AWS = {**CLAUDE, "anthropic_version": "bedrock-2023-05-31"}
GOOGLE = {**CLAUDE, "anthropic_version": "vertex-2023-10-16"}
VERTEX = f"/v1/projects/{vertex.PROJECT}/locations/{vertex.REGION}/publishers/anthropic/models/{vertex.MODEL}"
# Server: path, body, how its key is sent.
ASKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "openai": ("/v1/responses", {"model": "gpt-5.2", "input": "say hello"}, "authorization"),
    "gemini": ("/v1beta/models/gemini-3-pro:generateContent", {"contents": PARTS}, "x-goog-api-key"),
    "openrouter": ("/api/v1/chat/completions", {"model": "z-ai/glm-4.7", "messages": HELLO}, "authorization"),
    "deepseek": ("/anthropic/v1/messages", {**CLAUDE, "model": "deepseek-v4-pro"}, "x-api-key"),
    "bedrock": (f"/model/{bedrock.MODEL}/invoke", AWS, "authorization"),
    "vertex": (f"{VERTEX}:rawPredict", GOOGLE, "authorization"),
}
KEYS = {"openai": "OPENAI_KEY", "gemini": "GEMINI_KEY", "openrouter": "OPENROUTER_KEY", "deepseek": "DEEPSEEK_KEY",
        "bedrock": "BEDROCK_KEY"}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


@pytest.fixture(autouse=True)
def _afresh(lab: Running) -> None:
    lab.control.clear()


def key(lab: Running, server: str) -> str:
    if server != "vertex":
        return credentials()[KEYS[server]]
    asked = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}
    return str(requests.post(f"{lab.vertex}/token", data=asked, timeout=20).json()["access_token"])


def ask(lab: Running, server: str, given: str | None = None, **more: Any) -> requests.Response:
    path, body, header = ASKED[server]
    value = key(lab, server) if given is None else given
    headers = {header: f"Bearer {value}" if header == "authorization" else value, "anthropic-version": "2023-06-01"}
    path = more.pop("path", path)
    return requests.post(getattr(lab, server) + path, json={**body, **more}, headers=headers, timeout=20)


@pytest.mark.parametrize("server", ASKED)
def test_it_answers_who_has_its_key(lab: Running, server: str) -> None:
    answer = ask(lab, server)
    assert (answer.status_code, "Hello from simulated" in answer.text) == (200, True), answer.text
    denied = ask(lab, server, given="sk-wrong")
    assert denied.status_code in (400, 401, 403)
    assert "Hello" not in denied.text


@pytest.mark.parametrize(
    ("server", "more", "words"),
    [
        ("openai", {"max_tokens": 5}, "Unknown parameter: 'max_tokens'."),
        ("openai", {"path": "/v1/chat/completions", "messages": HELLO, "max_tokens": 5}, "max_completion_tokens"),
        ("openai", {"model": "gpt-9"}, "does not exist or you do not have access"),
        ("gemini", {"model": "x"}, 'Unknown name \\"model\\": Cannot find field'),
        ("gemini", {"tools": [{"functionDeclarations": [{"name": "a", "parameters": {"$schema": "x"}}]}]}, "$schema"),
        ("gemini", {"path": "/v1beta/models/gemini-9:generateContent"}, "is not found for API version v1beta"),
        ("openrouter", {"model": "x"}, "is not a valid model ID"),
        ("deepseek", {"messages": [*HELLO, {"role": "system", "content": "x"}]}, "invalid message role: system"),
        ("deepseek", {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "cannot be disabled"),
        ("bedrock", {"model": "x"}, "model: Extra inputs are not permitted"),
        ("bedrock", {"anthropic_beta": ["effort-2025-11-24"]}, "invalid beta flag"),
        ("bedrock", {"path": "/model/anthropic.claude-sonnet-4-6/invoke"}, "on-demand throughput"),
        ("bedrock", {"anthropic_version": None}, "anthropic_version: Field required"),
        ("vertex", {"model": "x"}, "model: Extra inputs are not permitted"),
    ],
)
def test_it_refuses_what_its_vendor_does(lab: Running, server: str, more: dict[str, Any], words: str) -> None:
    answer = ask(lab, server, **more)
    assert (answer.status_code in (400, 404), words in answer.text) == (True, True), answer.text


def test_deepseek_answers_an_unknown_name_with_another_model(lab: Running) -> None:
    assert ask(lab, "deepseek", model="deepseek-v9").status_code == 200


def test_openrouter_tells_what_an_answer_cost(lab: Running) -> None:
    usage = ask(lab, "openrouter").json()["usage"]
    assert usage["cost"] == pytest.approx(usage["prompt_tokens"] * 0.6e-6 + usage["completion_tokens"] * 2.2e-6)
    lines = ask(lab, "openrouter", stream=True, stream_options={"include_usage": True}).text.splitlines()
    assert lines[0] == ": OPENROUTER PROCESSING"
    costs = [json.loads(each[6:])["usage"]["cost"] for each in lines if '"cost"' in each]
    assert costs[-1] == pytest.approx(usage["cost"])


def test_bedrocks_stream_is_one_of_whole_frames(lab: Running) -> None:
    answer = ask(lab, "bedrock", path=f"/model/{bedrock.MODEL}/invoke-with-response-stream")
    data, events = answer.content, []
    while data:
        total, headers = struct.unpack("!II", data[:8])
        payload = json.loads(data[12 + headers : total - 4])
        events.append(json.loads(base64.b64decode(payload["bytes"])))
        data = data[total:]
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]


def test_vertexs_tokens_run_out(lab: Running) -> None:
    token = key(lab, "vertex")
    assert ask(lab, "vertex", given=token).status_code == 200
    lab.control.options("vertex", token_seconds=0)
    expired = ask(lab, "vertex", given=key(lab, "vertex"))
    assert (expired.status_code, expired.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("server", ASKED)
@pytest.mark.parametrize(("kind", "statuses"), [("429", {429}), ("quota", {402, 429}), ("500", {500}), ("503", {503})])
def test_it_fails_as_its_vendor_does(lab: Running, server: str, kind: Any, statuses: set[int]) -> None:
    given = key(lab, server)
    lab.control.fault(server, kind)
    answer = ask(lab, server, given=given)
    assert answer.status_code in statuses
    assert answer.json()
