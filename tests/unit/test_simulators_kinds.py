"""The simulated servers beside LM Studio and the Claude API: each kind's own endpoints, and its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.lab.simulators import Running, credentials, running

HELLO = [{"role": "user", "content": "say hello"}]
BASH = {
    "type": "function",
    "function": {
        "name": "Bash",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}
# name: path of its chat completions, its model, and what must be sent to be let in
CHATS: dict[str, tuple[str, str, str | None]] = {
    "ollama": ("/v1/chat/completions", "gemma4:26b-a4b", None),
    "llamacpp": ("/v1/chat/completions", "whatever", None),
    "vllm": ("/v1/chat/completions", "devstral", None),
    "webui": ("/api/v1/chat/completions", "gemma4", "WEBUI_KEY"),
    "mistral": ("/v1/chat/completions", "mistral-medium-latest", "MISTRAL_API_KEY"),
}
# name: a word of its refusal of a prompt that does not fit
OVERFLOWS = {
    "ollama": "exceeds the available context size",
    "llamacpp": "exceed_context_size_error",
    "vllm": "maximum context length is",
    "webui": "exceeds the available context size",
    "mistral": "too large for model",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


@pytest.fixture(autouse=True)
def _afresh(lab: Running) -> None:
    lab.control.clear()


def post(lab: Running, server: str, path: str, body: Any, secret: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {credentials()[secret]}"} if secret else {}
    return requests.post(getattr(lab, server) + path, json=body, headers=headers, timeout=20)


def chat(lab: Running, server: str, **more: Any) -> requests.Response:
    path, model, secret = CHATS[server]
    return post(lab, server, path, {"model": model, "messages": HELLO, **more}, secret)


def get(lab: Running, server: str, path: str, secret: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {credentials()[secret]}"} if secret else {}
    return requests.get(getattr(lab, server) + path, headers=headers, timeout=20).json()


@pytest.mark.parametrize("server", CHATS)
def test_answers_a_chat(lab: Running, server: str) -> None:
    assert "Hello from simulated" in chat(lab, server).json()["choices"][0]["message"]["content"]
    call = chat(lab, server, messages=[{"role": "user", "content": "run: echo hi"}], tools=[BASH]).json()
    assert call["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "Bash"
    assert "data: [DONE]" in chat(lab, server, stream=True).text


@pytest.mark.parametrize("server", CHATS)
def test_refuses_what_does_not_fit_in_its_own_words(lab: Running, server: str) -> None:
    given = lab.control.options(server)["context_length"]
    told = chat(lab, server, messages=[{"role": "user", "content": "word " * given}])
    assert told.status_code == 400
    assert OVERFLOWS[server] in told.text


@pytest.mark.parametrize("server", CHATS)
@pytest.mark.parametrize("kind", ["401", "429", "500", "503"])
def test_fails_with_the_status_that_is_asked_for(lab: Running, server: str, kind: str) -> None:
    lab.control.fault(server, kind)
    assert chat(lab, server).status_code == int(kind)


@pytest.mark.parametrize("server", ["ollama", "llamacpp", "vllm"])
def test_speaks_anthropics_format_too(lab: Running, server: str) -> None:
    body = {"model": CHATS[server][1], "max_tokens": 100, "messages": HELLO}
    assert "Hello from simulated" in post(lab, server, "/v1/messages", body).json()["content"][0]["text"]


def test_ollama_tells_the_context_of_what_is_loaded(lab: Running) -> None:
    assert get(lab, "ollama", "/api/ps")["models"][0]["context_length"] == 32768
    post(lab, "ollama", "/api/chat", {"model": "gemma4:26b-a4b", "messages": HELLO, "options": {"num_ctx": 65536}})
    assert get(lab, "ollama", "/api/ps")["models"][0]["context_length"] == 65536
    lab.control.options("ollama", loaded=None)
    assert get(lab, "ollama", "/api/ps")["models"] == []
    assert "tools" in requests.post(f"{lab.ollama}/api/show", json={"model": "gemma4:26b-a4b"}, timeout=20).text


def test_ollama_streams_lines_of_json(lab: Running) -> None:
    told = post(lab, "ollama", "/api/chat", {"model": "gemma4:26b-a4b", "messages": HELLO})
    assert told.headers["content-type"].startswith("application/x-ndjson")
    assert '"done": true' in told.text.splitlines()[-1]


def test_llama_cpp_tells_its_context_and_needs_no_key_for_its_health(lab: Running) -> None:
    assert get(lab, "llamacpp", "/props")["default_generation_settings"]["n_ctx"] == 32768
    lab.control.options("llamacpp", require_authentication=True)
    assert requests.get(f"{lab.llamacpp}/props", timeout=20).status_code == 401
    assert get(lab, "llamacpp", "/health") == {"status": "ok"}


def test_vllm_wants_a_tool_parser(lab: Running) -> None:
    assert get(lab, "vllm", "/v1/models")["data"][0]["max_model_len"] == 32768
    lab.control.options("vllm", tool_parser=False)
    assert "--enable-auto-tool-choice" in chat(lab, "vllm", tools=[BASH]).text


def test_mistral_takes_nothing_that_it_does_not_know(lab: Running) -> None:
    assert chat(lab, "mistral", stream_options={"include_usage": True}).status_code == 422
    calls = [{"id": "toolu_01", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}]
    told = chat(lab, "mistral", messages=[*HELLO, {"role": "assistant", "content": "", "tool_calls": calls}])
    assert "with a length of 9" in told.text


def test_foundry_is_stricter_than_the_claude_api(lab: Running) -> None:
    secret = "FOUNDRY_API_KEY"  # noqa: S105 (its name)
    path = "/anthropic/v1/messages"

    def ask(**more: Any) -> requests.Response:
        body = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": HELLO, **more}
        headers = {"anthropic-version": "2023-06-01", "Authorization": f"Bearer {credentials()[secret]}"}
        return requests.post(lab.foundry + path, json=body, headers=headers, timeout=20)

    assert ask().status_code == 200
    assert post(lab, "foundry", "/anthropic/chat/completions", {}, secret).status_code == 404
    assert "role 'system'" in ask(messages=[*HELLO, {"role": "system", "content": "be brief"}]).text
    assert "xhigh" in ask(output_config={"effort": "xhigh"}, thinking={"type": "adaptive"}).text
    lab.control.options("foundry", adaptive=False)
    assert "adaptive thinking" in ask(thinking={"type": "adaptive"}).text
    lab.control.options("foundry", wants="x-api-key")
    assert ask().status_code == 401
