"""The simulated LM Studio, as the official `openai` and `anthropic` libraries and plain HTTP see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests

from tests.lab.simulators import Running, credentials, running

MODEL, WEAK, EMBEDDING = "qwen/qwen3.6-35b-a3b", "google/gemma-3-4b", "text-embedding-nomic-embed-text-v1.5"
HELLO: list[Any] = [{"role": "user", "content": "say hello"}]
GREETING = f"Hello from simulated LM Studio ({MODEL})."
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
BASH: Any = {"type": "function", "function": {"name": "Bash", "parameters": PARAMETERS}}
TOKEN = credentials()["LMSTUDIO_TOKEN"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


@pytest.fixture(scope="module")
def connections(lab: Running) -> Iterator[tuple[openai.OpenAI, anthropic.Anthropic]]:
    with (
        openai.OpenAI(base_url=f"{lab.lmstudio}/v1", api_key="lm-studio", max_retries=0, timeout=20) as chats,
        anthropic.Anthropic(base_url=lab.lmstudio, api_key="lm-studio", max_retries=0, timeout=20) as messages,
    ):
        yield chats, messages


@pytest.fixture(autouse=True)
def _afresh(lab: Running) -> Iterator[None]:
    lab.control.clear()
    yield
    lab.control.heal()


@pytest.fixture
def client(connections: tuple[openai.OpenAI, anthropic.Anthropic]) -> openai.OpenAI:
    return connections[0]


@pytest.fixture
def claude(connections: tuple[openai.OpenAI, anthropic.Anthropic]) -> anthropic.Anthropic:
    return connections[1]


class Told:
    """A chat answer, streamed or not."""

    def __init__(
        self, text: str, calls: list[tuple[str, str, Any]], finish: str | None, usage: Any, model: str
    ) -> None:
        self.text, self.calls, self.finish, self.usage, self.model = text, calls, finish, usage, model


def ask(client: openai.OpenAI, **changes: Any) -> Told:
    answer = client.chat.completions.create(**{"model": MODEL, "messages": HELLO} | changes)
    [choice] = answer.choices
    calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
    return Told(choice.message.content or "", calls, choice.finish_reason, answer.usage, answer.model)


def stream(client: openai.OpenAI, **changes: Any) -> Told:
    asked = {"model": MODEL, "messages": HELLO, "stream_options": {"include_usage": True}} | changes
    text, calls, finish, usage, model = "", {}, None, None, ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        model, usage = chunk.model, chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            for part in choice.delta.tool_calls or ():
                call = calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
                call["arguments"] += part.function.arguments or ""
    made = [(call["id"], call["name"], json.loads(call["arguments"])) for call in calls.values()]
    return Told(text, made, finish, usage, model)


both = pytest.mark.parametrize("way", [ask, stream])
Way = Callable[..., Told]


# ---- chat ----


@both
def test_text(client: openai.OpenAI, way: Way) -> None:
    told = way(client)
    assert (told.text, told.finish, told.model) == (GREETING, "stop", MODEL)
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (3, 14, 17)


def test_usage_in_a_stream_is_a_wish(client: openai.OpenAI) -> None:
    assert stream(client, stream_options=None).usage is None


def test_a_stream_ends_with_done(lab: Running) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    lines = requests.post(f"{lab.lmstudio}/v1/chat/completions", json=body, timeout=20).text.splitlines()
    assert [line for line in lines if line][-1] == "data: [DONE]"


@both
def test_tool_round_trip(client: openai.OpenAI, way: Way) -> None:
    conversation = [{"role": "system", "content": "terse"}, {"role": "user", "content": "run: echo 42"}]
    told = way(client, messages=conversation, tools=[BASH])
    [(call_id, name, arguments)] = told.calls
    assert (told.finish, name, arguments) == ("tool_calls", "Bash", {"command": "echo 42"})
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    conversation += [
        {"role": "assistant", "content": None, "tool_calls": [call]},  # type: ignore[dict-item]
        {"role": "tool", "tool_call_id": call_id, "content": "42"},
    ]
    told = way(client, messages=conversation, tools=[BASH])
    assert told.text == f"simulated LM Studio ({MODEL}) saw the output: 42"


@both
def test_required_tool(client: openai.OpenAI, way: Way) -> None:
    told = way(client, tools=[BASH], tool_choice="required")
    assert [(name, arguments) for _, name, arguments in told.calls] == [("Bash", {"command": "x"})]


@both
def test_limits(client: openai.OpenAI, way: Way) -> None:
    assert (way(client, max_tokens=2).text, way(client, max_tokens=2).finish) == ("Hello fr", "length")
    assert way(client, max_tokens=-1).text == GREETING
    assert way(client, stop=" simulated").text == "Hello from"


def test_json_schema(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS}}
    assert json.loads(ask(client, response_format=form).text) == {"command": "x"}


def test_completion(client: openai.OpenAI) -> None:
    whole = client.completions.create(model=MODEL, prompt="count to 5")
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("1 2 3 4 5", "stop")
    parts = client.completions.create(model=MODEL, prompt="count to 5", stream=True)
    assert "".join(part.choices[0].text for part in parts) == "1 2 3 4 5"


def test_embeddings(client: openai.OpenAI) -> None:
    made = client.embeddings.create(model=EMBEDDING, input=["a", "b", "a"], encoding_format="float")
    first, second, third = (item.embedding for item in made.data)
    assert first == third != second
    assert all(-0.5 <= value <= 0.5 for value in first)
    assert (made.model, [item.index for item in made.data]) == (EMBEDDING, [0, 1, 2])


# ---- the Anthropic endpoint ----


def test_messages(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(model=MODEL, max_tokens=99, messages=HELLO)
    assert (message.content[0].to_dict()["text"], message.stop_reason, message.model) == (GREETING, "end_turn", MODEL)
    with claude.messages.stream(model=MODEL, max_tokens=99, messages=HELLO) as events:
        assert events.get_final_text() == GREETING


def test_messages_with_a_tool(claude: anthropic.Anthropic) -> None:
    tool: Any = {"name": "Bash", "input_schema": PARAMETERS}
    asked: Any = {"model": MODEL, "max_tokens": 99, "tools": [tool]}
    conversation: list[Any] = [{"role": "user", "content": "run: echo 42"}]
    with claude.messages.stream(messages=conversation, **asked) as events:
        message = events.get_final_message()
    call: Any = message.content[-1]
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "Bash", {"command": "echo 42"})
    conversation += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": "Bash", "input": call.input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "42"}]},
    ]
    told = claude.messages.create(messages=conversation, **asked)
    assert told.content[0].to_dict()["text"] == f"simulated LM Studio ({MODEL}) saw the output: 42"


def test_messages_are_read_leniently(claude: anthropic.Anthropic) -> None:
    """Headers and fields that the Claude API refuses pass here, so what works here may fail there."""
    body = {"model": MODEL, "max_tokens": 9, "messages": HELLO, "foo": 1, "context_management": {"edits": []}}
    headers = {"anthropic-beta": "made-up-2026-01-01", "anthropic-version": ""}
    assert claude.post("/v1/messages", body=body, options={"headers": headers}, cast_to=anthropic.types.Message).content


def test_messages_without_a_limit(lab: Running, claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Field required"):
        claude.post("/v1/messages", body={"model": MODEL, "messages": HELLO}, cast_to=object)
    broken = requests.post(f"{lab.lmstudio}/v1/messages", data="{", timeout=20)
    assert (broken.status_code, broken.json()["type"]) == (400, "error")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/messages/count_tokens"), ("POST", "/chat/completions"), ("GET", "/v1//models"), ("GET", "/")],
)
def test_what_it_does_not_know_gets_200(lab: Running, method: str, path: str) -> None:
    answer = requests.request(method, lab.lmstudio + path, json={}, timeout=20)
    assert answer.status_code == 200
    assert answer.json() == {"error": f"Unexpected endpoint or method. ({method} {path})"}


# ---- what is refused ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": []}, "'messages' field is required"),
        (
            {"tools": [BASH], "tool_choice": {"type": "function", "function": {"name": "Bash"}}},
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
        ),
        (
            {"tools": [BASH], "tool_choice": "any"},
            "Invalid tool_choice: 'any'. Supported string values: none, auto, required",
        ),
        ({"response_format": {"type": "json_object"}}, "'response_format.type' must be 'json_schema' or 'text'"),
        (
            {"messages": [{"role": "narrator", "content": "x"}]},
            "Invalid 'messages' in payload: role must be one of system, developer, user, assistant, tool",
        ),
        (
            {"messages": [{"role": "user", "content": ""}]},
            "'messages' array must only contain objects with a 'content' field that is not empty",
        ),
        (
            {"tools": [{"type": "web_search"}]},
            "Invalid 'tools' in payload: each tool must be of type 'function' and have a name",
        ),
    ],
    ids=["messages", "object choice", "unknown choice", "json_object", "role", "empty", "tool"],
)
@both
def test_bodies_that_are_refused(client: openai.OpenAI, way: Way, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        way(client, **changes)
    assert refused.value.response.json() == {"error": message}


def test_bodies_that_are_no_request(lab: Running) -> None:
    for data in ("{", "[]"):
        answer = requests.post(f"{lab.lmstudio}/v1/chat/completions", data=data, timeout=20)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_authentication(lab: Running, client: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    lab.control.options("lmstudio", require_authentication=True)
    without = requests.get(f"{lab.lmstudio}/api/v1/models", timeout=20)
    assert without.status_code == 401
    assert without.json()["error"]["code"] == "invalid_api_key"
    assert without.json()["error"]["message"].startswith("An LM Studio API token is required to make requests")
    with pytest.raises(openai.AuthenticationError):
        ask(client)
    with pytest.raises(anthropic.AuthenticationError):
        claude.messages.create(model=MODEL, max_tokens=99, messages=HELLO)
    assert ask(client.with_options(api_key=TOKEN)).text == GREETING
    assert claude.with_options(api_key=TOKEN).messages.create(model=MODEL, max_tokens=99, messages=HELLO).content


# ---- models in memory ----


def v1(lab: Running) -> dict[str, dict[str, Any]]:
    return {m["key"]: m for m in requests.get(f"{lab.lmstudio}/api/v1/models", timeout=20).json()["models"]}


def v0(lab: Running) -> dict[str, dict[str, Any]]:
    return {m["id"]: m for m in requests.get(f"{lab.lmstudio}/api/v0/models", timeout=20).json()["data"]}


def load(lab: Running, verb: str = "load", **body: Any) -> requests.Response:
    return requests.post(f"{lab.lmstudio}/api/v1/models/{verb}", json=body, timeout=20)


def contexts(lab: Running) -> dict[str, int]:
    """The loaded models with their context; both lists must agree."""
    new = {
        key: m["loaded_instances"][0]["config"]["context_length"] for key, m in v1(lab).items() if m["loaded_instances"]
    }
    old = {key: m["loaded_context_length"] for key, m in v0(lab).items() if m["state"] == "loaded"}
    assert new == old
    return new


def test_introspection(lab: Running, client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL, WEAK, EMBEDDING] == list(v1(lab)) == list(v0(lab))
    assert contexts(lab) == {MODEL: 32768}
    tools = {key: m.get("capabilities", {}).get("trained_for_tool_use") for key, m in v1(lab).items()}
    assert tools == {MODEL: True, WEAK: False, EMBEDDING: None}
    assert v1(lab)[MODEL]["max_context_length"] == 262144
    assert v0(lab)[MODEL]["capabilities"] == ["tool_use"]
    one = requests.get(f"{lab.lmstudio}/api/v0/models/{MODEL}", timeout=20).json()
    assert one == v0(lab)[MODEL]


def test_load_and_unload(lab: Running) -> None:
    told = load(lab, model=MODEL, context_length=65536, echo_load_config=True).json()
    assert (told["type"], told["instance_id"], told["status"]) == ("llm", MODEL, "loaded")
    assert told["load_config"]["context_length"] == contexts(lab)[MODEL] == 65536
    assert load(lab, model="none").status_code == 404
    assert load(lab, model=MODEL, context_length=10**9).status_code == 400
    assert load(lab, "unload", instance_id=MODEL).json() == {"instance_id": MODEL}
    assert load(lab, "unload", instance_id=MODEL).status_code == 404
    assert contexts(lab) == {}


def test_a_named_model_is_loaded_when_it_is_needed(lab: Running, client: openai.OpenAI) -> None:
    assert ask(client, model=WEAK).text == f"Hello from simulated LM Studio ({WEAK})."
    assert contexts(lab) == {MODEL: 32768, WEAK: 4096}


def test_an_unknown_model(lab: Running, client: openai.OpenAI) -> None:
    assert ask(client, model="gpt-4").model == MODEL  # the only one in memory answers, whatever was asked for
    load(lab, model=WEAK)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model="gpt-4")
    assert refused.value.code == "model_not_found"
    assert refused.value.response.json()["error"] == {
        "message": 'Invalid model identifier "gpt-4". Please specify a valid downloaded model (e.g., '
        f"{MODEL}, {WEAK}).",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    for key in (MODEL, WEAK):
        load(lab, "unload", instance_id=key)
    with pytest.raises(openai.BadRequestError, match="No models loaded"):
        ask(client, model="gpt-4")


def overflow(asked: int, context: int) -> str:
    return (
        "The number of tokens to keep from the initial prompt is greater than the context length "
        f"(n_keep: {asked}>= n_ctx: {context}). Try to load the model with a larger context length, or provide a "
        "shorter input."
    )


@both
def test_a_prompt_that_does_not_fit(lab: Running, client: openai.OpenAI, claude: anthropic.Anthropic, way: Way) -> None:
    load(lab, model=MODEL, context_length=8192)
    long: list[Any] = [{"role": "user", "content": "x" * 4 * 8192}]
    with pytest.raises(openai.BadRequestError) as refused:
        way(client, messages=long)
    assert refused.value.response.json() == {"error": overflow(8192, 8192)}
    with pytest.raises(anthropic.InternalServerError) as failed:
        claude.messages.create(model=MODEL, max_tokens=9, messages=long)
    assert (failed.value.type, failed.value.api_message) == ("api_error", overflow(8192, 8192))
    assert way(client, messages=[{"role": "user", "content": "x" * 4 * 8191}]).text == GREETING


# ---- failures ----


@both
@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("401", openai.AuthenticationError, 401),
        ("429", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("529", openai.InternalServerError, 529),
        ("overflow", openai.BadRequestError, 400),
    ],
)
def test_statuses(
    lab: Running, client: openai.OpenAI, way: Way, kind: str, error: type[openai.APIStatusError], status: int
) -> None:
    lab.control.fault("lmstudio", kind, times=1, retry_after=7)
    with pytest.raises(error) as failed:
        way(client)
    assert failed.value.status_code == status
    assert failed.value.response.headers.get("retry-after") == ("7" if kind == "429" else None)
    if kind == "overflow":
        assert failed.value.response.json() == {"error": overflow(32769, 32768)}
    assert way(client).text == GREETING


@both
@pytest.mark.parametrize(
    ("kind", "error"),
    [("refuse", openai.APIConnectionError), ("drop", openai.APIConnectionError), ("hang", openai.APITimeoutError)],
)
def test_no_answer(lab: Running, client: openai.OpenAI, way: Way, kind: str, error: type[openai.APIError]) -> None:
    lab.control.fault("lmstudio", kind)
    with pytest.raises(error):
        way(client.with_options(timeout=1))
    lab.control.heal()
    assert way(client).text == GREETING


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_half_an_answer(lab: Running, client: openai.OpenAI, kind: str) -> None:
    lab.control.fault("lmstudio", kind, after_chunks=2)
    text = ""
    error = {"cut": "Connection error", "stall": "timed out"}[kind]
    with pytest.raises(Exception, match=error):  # noqa: PT012 (the loop is what fails)
        for chunk in client.with_options(timeout=1).chat.completions.create(model=MODEL, messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "Hello from"


def test_a_stream_that_fails_says_so(lab: Running, client: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    lab.control.fault("lmstudio", "500", after_chunks=2)
    with pytest.raises(openai.APIError, match="The model crashed without additional information"):
        stream(client)
    with (
        pytest.raises(anthropic.APIStatusError) as failed,
        claude.messages.stream(model=MODEL, max_tokens=99, messages=HELLO) as events,
    ):
        events.get_final_message()
    assert failed.value.type == "api_error"


def test_the_anthropic_endpoint_fails_in_its_own_shape(lab: Running, claude: anthropic.Anthropic) -> None:
    lab.control.fault("lmstudio", "500")
    with pytest.raises(anthropic.InternalServerError) as failed:
        claude.messages.create(model=MODEL, max_tokens=99, messages=HELLO)
    assert failed.value.response.json()["type"] == "error"


# ---- /v1/responses ----


def respond(client: openai.OpenAI, **changes: Any) -> Any:
    return client.responses.create(**{"model": MODEL, "input": "say hello"} | changes)


def respond_streaming(client: openai.OpenAI, **changes: Any) -> Any:
    text, last = "", None
    for number, event in enumerate(respond(client, stream=True, **changes)):
        assert event.sequence_number == number
        text += event.delta if event.type == "response.output_text.delta" else ""
        last = event
    assert last.response.output_text == text
    return last.response


responses = pytest.mark.parametrize("how", [respond, respond_streaming])


@responses
def test_responses(client: openai.OpenAI, how: Callable[..., Any]) -> None:
    told = how(client)
    assert (told.output_text, told.status, told.usage.total_tokens) == (GREETING, "completed", 17)
    assert how(client, max_output_tokens=2).status == "incomplete"


@responses
def test_responses_with_a_tool(client: openai.OpenAI, how: Callable[..., Any]) -> None:
    tool = {"type": "function", "name": "Bash", "parameters": PARAMETERS}
    conversation: list[Any] = [{"role": "user", "content": "run: echo 42"}]
    [call] = how(client, input=conversation, tools=[tool]).output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "Bash", {"command": "echo 42"})
    conversation += [call.to_dict(), {"type": "function_call_output", "call_id": call.call_id, "output": "42"}]
    told = how(client, input=conversation, tools=[tool])
    assert told.output_text == f"simulated LM Studio ({MODEL}) saw the output: 42"


def test_responses_that_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        respond(client, text={})
    assert (refused.value.param, refused.value.code) == ("text.format", "missing_required_parameter")
    with pytest.raises(openai.BadRequestError) as long:
        respond(client, input="x" * 4 * 32768)
    assert long.value.response.json() == {"error": overflow(32768, 32768)}
