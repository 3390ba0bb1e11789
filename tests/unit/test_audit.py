"""The gateway's audit: what a line says of a request, and where lines go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway_plugins import plugins as plugins

ANSWERED = {"x-litellm-model-id": "lmstudio/local", "x-litellm-model-name": "lm_studio/qwen"}
CLOUD = {"x-litellm-model-id": "anthropic/claude-sonnet-4-6", "x-litellm-model-name": "anthropic/claude-sonnet-4-6"}
SENT = {"x-signalbox-lane": "routed", "x-claude-code-session-id": "5e55-10"}
FIELDS = ["time", "session", "run", "lane", "client", "asked", "model", "backend", "rule", "fallback", "error_class",
          "status", "input_tokens", "output_tokens", "cached_tokens", "estimated", "cost_usd", "plan", "compared_usd",
          "mended", "seconds", "first_byte_seconds"]  # fmt: skip


def sse(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


START = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "cache_read_input_tokens": 5}}}
TEXT = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "twelve chars"}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
STOP = {"type": "message_stop"}


def serve(
    plugins: Any,
    chunks: Sequence[bytes],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    stream: bool = True,
    body: bytes = b'{"model": "local", "messages": []}',
    meanwhile: Any = None,
    path: str = "/v1/messages",
) -> dict[str, Any] | None:
    """Serve one request by an application that answers so, and return its line."""
    kind = "text/event-stream" if stream else "application/json"
    given = {**(ANSWERED if headers is None else headers), "content-type": kind}

    async def application(_: Any, receive: Any, send: Any) -> None:
        heard = [await receive()]
        while heard[-1].get("more_body"):
            heard.append(await receive())
        if path.endswith("/messages"):  # as answer_check.py does
            asked_for = plugins.json_document.parsed(b"".join(each["body"] for each in heard))
            plugins.request_record.current().asks_for(asked_for)
        if meanwhile:
            await meanwhile()
        pairs = [(name.encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    asked = [body[:9], body[9:]]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": asked.pop(0), "more_body": bool(asked)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path}
    pairs = [(name.encode(), value.encode()) for name, value in SENT.items()]
    asyncio.run(plugins.audit.plugin.around(application)({**scope, "headers": pairs}, receive, send))
    assert b"".join(each.get("body", b"") for each in sent) == b"".join(chunks)
    file = Path(plugins.audit_file.DIRECTORY, plugins.audit_file.FILE)
    return json.loads(file.read_text().splitlines()[-1]) if file.exists() else None


def told(line: dict[str, Any] | None, *names: str) -> list[Any]:
    assert line is not None
    return [line[name] for name in names]


def test_a_model_of_the_gateways_list_is_told_by_its_own_name(plugins: Any) -> None:
    for name, asked in ((f"claude-router-{b'local'.hex()}", "local"), ("claude-router-x", "claude-router-x")):
        line = serve(plugins, sse(START, TEXT, DELTA, STOP), body=json.dumps({"model": name}).encode())
        assert told(line, "asked") == [asked]


def test_a_line_has_every_field_and_no_content(plugins: Any) -> None:
    secret = b'{"model": "local", "messages": [{"role": "user", "content": "our merger"}]}'
    line = serve(plugins, sse(START, TEXT, DELTA, STOP), body=secret)
    assert line is not None
    assert list(line) == FIELDS
    assert told(line, "session", "lane", "asked", "model", "backend") == [
        "5e55-10",
        "routed",
        "local",
        "local",
        "lmstudio",
    ]
    assert told(line, "input_tokens", "cached_tokens", "output_tokens", "estimated") == [7, 5, 3, False]
    assert told(line, "cost_usd", "compared_usd") == [0.0, 15.0]
    written = Path(plugins.audit_file.DIRECTORY, plugins.audit_file.FILE).read_text()
    assert "merger" not in written
    assert "twelve" not in written


def test_a_frame_may_come_in_pieces(plugins: Any) -> None:
    whole = b"".join(sse(START, TEXT, DELTA, STOP))
    line = serve(plugins, [whole[at : at + 7] for at in range(0, len(whole), 7)])
    assert told(line, "input_tokens", "output_tokens", "estimated", "error_class") == [7, 3, False, None]


def test_what_is_cached_for_an_hour_and_each_search_of_the_web_is_counted(plugins: Any) -> None:
    """BerriAI/litellm/issues 9812, 11789, 42663: what is written to a cache counted twice, not at all, or as read."""
    begun = {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 100}
    begun["cache_creation"] = {"ephemeral_5m_input_tokens": 10000, "ephemeral_1h_input_tokens": 2304}  # type: ignore[assignment]
    ended = {"output_tokens": 550, "server_tool_use": {"web_search_requests": 2}}
    answer = plugins.token_usage.AnswerUsage()
    for chunk in sse({**START, "message": {"usage": begun}}, TEXT, {**DELTA, "usage": ended}, STOP):
        answer.take(chunk, True)
    counted = answer.counted()
    assert counted == {"input": 3, "output": 550, "cached": 100, "written": 12304, "hour": 2304, "searches": 2}
    own = {"input": 3.0, "output": 15.0, "cached": 0.3}  # as LiteLLM's list has claude-sonnet-4-6
    usd = (3 * 3 + 10000 * 3.75 + 2304 * 6 + 100 * 0.3 + 550 * 15) / 1e6
    assert plugins.prices.price("", "", counted, own) == pytest.approx(usd + 0.02)
    known = plugins.prices.price("claude-sonnet-4-6", "", counted)  # a dollar a token
    assert known == pytest.approx(3 + 100 + 12304 + 550 + 0.02)


def test_a_cloud_costs_by_the_list_of_prices(plugins: Any) -> None:
    body = {"type": "message", "usage": {"input_tokens": 10, "output_tokens": 4, "cache_creation_input_tokens": 2}}
    line = serve(plugins, [json.dumps(body).encode()], stream=False, headers=CLOUD)
    assert told(line, "cost_usd", "compared_usd", "input_tokens", "backend") == [16.0, None, 12, "anthropic"]
    unknown = {**CLOUD, "x-litellm-model-id": "mine/mine", "x-litellm-model-name": "azure_ai/mine"}
    assert told(serve(plugins, [json.dumps(body).encode()], stream=False, headers=unknown), "cost_usd") == [None]


def test_what_openai_servers_count_is_read_too(plugins: Any) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    body = {"object": "chat.completion", "choices": [{"message": {"content": "hello"}}], "usage": usage}
    line = serve(plugins, [json.dumps(body).encode()], stream=False, path="/v1/chat/completions")
    assert told(line, "input_tokens", "cached_tokens", "output_tokens", "estimated") == [5, 4, 2, False]


@pytest.mark.parametrize("events", [(START, TEXT), (TEXT, STOP), ({**START, "message": {}}, TEXT, DELTA, STOP)])
def test_what_was_not_counted_to_the_end_is_estimated(plugins: Any, events: tuple[dict[str, Any], ...]) -> None:
    line = serve(plugins, sse(*events), body=b'{"model": "local", "messages": [1, 2]}')
    assert told(line, "input_tokens", "output_tokens", "estimated") == [9, 3, True]


def test_a_cut_stream_is_told(plugins: Any) -> None:
    assert told(serve(plugins, sse(START, TEXT)), "status", "error_class") == [200, "cut"]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "vendor's words"}}
    broke_off: list[Any] = []
    plugins.audit.plugin.broke_off = lambda *told: broke_off.append(told)
    assert told(serve(plugins, sse(START, error)), "error_class") == ["overloaded"]
    assert broke_off == [("lmstudio/local", "overloaded")]
    assert "vendor's words" not in Path(plugins.audit_file.DIRECTORY, plugins.audit_file.FILE).read_text()


class Timeout(Exception):  # noqa: N818 (theirs)
    """Named as LiteLLM's."""


class BadRequestError(Exception):
    """Named as LiteLLM's."""


class APIConnectionError(Exception):
    """Named as LiteLLM's."""


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Timeout("slow"), "timeout"),
        (BadRequestError("n_keep: 40000 >= n_ctx: 32768"), "overflow"),
        (BadRequestError("no such field"), "bad_request"),
        (APIConnectionError("Hosted_vllmException - Timeout on reading data from socket"), "timeout"),
        (APIConnectionError("Hosted_vllmException - Response payload is not completed"), "unreachable"),
    ],
)
def test_a_fallback_names_who_failed_and_why(plugins: Any, error: Exception, word: str) -> None:
    async def fails() -> None:
        plugins.request_record.current().estimated = True
        await plugins.audit.plugin.log_success_fallback_event("local", {}, error)

    line = serve(plugins, sse(START, TEXT, DELTA, STOP), headers=CLOUD, meanwhile=fails)
    assert told(line, "fallback", "error_class", "status", "estimated") == ["local", word, 200, False]


@pytest.mark.parametrize(
    ("status", "word"), [(401, "auth"), (429, "rate_limit"), (500, "server_error"), (418, "bad_request")]
)
def test_an_error_is_one_of_our_own_words(plugins: Any, status: int, word: str) -> None:
    body = b'{"type": "error", "error": {"type": "x", "message": "vendor words"}}'
    line = serve(plugins, [body], status=status, stream=False, headers={})
    assert told(line, "error_class", "status", "model", "input_tokens", "cost_usd") == [word, status, None, 0, 0.0]


def test_headers_put_no_more_than_a_word_into_a_line(plugins: Any) -> None:
    assert plugins.request_record.word("routed") == "routed"
    assert plugins.request_record.word("two words") is None
    assert plugins.request_record.word("x" * 129) is None


def test_other_requests_leave_no_line(plugins: Any) -> None:
    assert serve(plugins, [b"{}"], stream=False, path="/v1/messages/count_tokens") is None


def test_the_file_is_moved_aside_and_old_ones_go(plugins: Any, tmp_path: Path) -> None:
    plugins.audit_file.MAX_BYTES, plugins.audit_file.OLD_FILES = 20, 2
    for number in range(4):
        plugins.audit_file.write({"number": number, "long": "x" * 20})
    plugins.audit_file.write({"n": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "requests.1.jsonl",
        "requests.2.jsonl",
        "requests.jsonl",
    ]
    assert json.loads((tmp_path / "requests.1.jsonl").read_text())["number"] == 3
    assert (tmp_path / "requests.jsonl").stat().st_mode & 0o777 == 0o640


def test_a_directory_that_is_gone_stops_no_request(plugins: Any, capsys: pytest.CaptureFixture[str]) -> None:
    plugins.audit_file.DIRECTORY = "/nonexistent/audit"
    serve(plugins, sse(START, TEXT, DELTA, STOP))
    assert "the audit cannot be written" in capsys.readouterr().err
