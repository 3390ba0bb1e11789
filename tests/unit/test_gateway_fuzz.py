"""Whatever a model server answers: the client gets all of it, and the audit has a line of it.

SIGNALBOX_HYPOTHESIS=drill tries 10000 answers of each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.gateway_plugins import loaded
from tests.unit.test_answer_check import converse, said
from tests.unit.test_audit import CLOUD, FIELDS, STOP, TEXT, serve

pytestmark = pytest.mark.timeout(7200)  # of the many examples on a busy machine
DEEP = 100_000  # of nesting
ODD = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400) | st.just([[]])
    | st.dictionaries(st.text(max_size=4), st.integers(), max_size=2)
)  # fmt: skip
COUNTS = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "cache_read_input_tokens",
          "cache_creation_input_tokens", "total_tokens")  # fmt: skip
USAGE = st.dictionaries(
    st.sampled_from(COUNTS) | st.just("prompt_tokens_details"), ODD | st.fixed_dictionaries({"cached_tokens": ODD})
)
NAMES = ("type", "text", "thinking", "partial_json", "content", "input", "stop_reason", "tool_calls", "function",
         "arguments", "name", "role")  # fmt: skip
BLOCK = st.recursive(
    ODD, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner) | st.lists(inner, max_size=3), max_leaves=8
)
TYPES = ("message_start", "message_delta", "message_stop", "message", "error", "content_block_start",
         "content_block_delta", "ping")  # fmt: skip
EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | ODD},
    optional={
        "message": st.fixed_dictionaries({}, optional={"usage": USAGE | ODD}) | ODD,
        "usage": USAGE | ODD,
        "delta": BLOCK,
        "content": BLOCK,
        "content_block": BLOCK,
        "choices": st.lists(st.fixed_dictionaries({}, optional={"delta": BLOCK, "message": BLOCK}) | ODD, max_size=3)
        | ODD,
        "error": st.fixed_dictionaries({"type": ODD}) | ODD,
        "object": st.just("chat.completion") | ODD,
        "stop_reason": ODD,
    },
)
LINE = (
    EVENT.map(lambda event: b"data: " + json.dumps(event).encode())
    | st.binary(max_size=60)
    | st.sampled_from(
        [b"", b"data: [DONE]", b"data:", b"data: " + b"[" * DEEP, b"data: " + b'{"usage":' * DEEP, b"event: ping"]
    )
)
STREAM = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\n\n", b"\r\n\r\n", b"\r"])), max_size=8).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
WHOLE = EVENT.map(lambda event: json.dumps(event).encode()) | st.binary(max_size=60) | st.just(b"[" * DEEP)
CUTS = st.lists(st.integers(0, 400), max_size=6)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Our modules, once: an example finds them as the one before left them, as requests do."""
    with pytest.MonkeyPatch.context() as patch, loaded(patch, tmp_path_factory.mktemp("audit")) as modules:
        yield modules


def cut(answer: bytes, cuts: list[int]) -> list[bytes]:
    """Return the answer in the pieces in which it comes."""
    ends = [0, *sorted(cuts), len(answer)]
    return [answer[start:end] for start, end in itertools.pairwise(ends)]


def audited(plugins: SimpleNamespace, answer: bytes, cuts: list[int], stream: bool) -> dict[str, Any]:
    """Serve it, and return the one line that is left of it; what the client gets is checked in `serve`."""
    file = Path(plugins.audit_file.DIRECTORY, plugins.audit_file.FILE)
    file.write_text("")
    assert serve(plugins, cut(answer, cuts), stream=stream, headers=CLOUD)
    (line,) = file.read_text().splitlines()
    told: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return told


ODD_USAGE = [None, "7", "seven", [7], {"n": 7}, -7, 7.5, True, 10**400, float("nan"), float("inf")]


@pytest.mark.parametrize("odd", ODD_USAGE, ids=str)
@pytest.mark.parametrize("name", [*COUNTS, "usage", "prompt_tokens_details"])
def test_odd_usage_leaves_a_line(plugins: SimpleNamespace, name: str, odd: Any) -> None:
    usage = odd if name == "usage" else {"input_tokens": 3, "output_tokens": 4, name: odd}
    whole = {"type": "message", "content": [{"type": "text", "text": "hello"}], "usage": usage}
    assert audited(plugins, json.dumps(whole).encode(), [], stream=False)["model"] == "claude-sonnet-4-6"
    start, delta = {"type": "message_start", "message": {"usage": usage}}, {"type": "message_delta", "usage": usage}
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (start, TEXT, delta, STOP))
    line = audited(plugins, stream, [], stream=True)
    counted = {"input_tokens", "output_tokens"} - {name} and name not in ("usage", "input_tokens", "output_tokens")
    assert line["estimated"] is not counted
    if counted:
        assert (line["input_tokens"], line["output_tokens"]) == (3, 4)


@given(st.one_of(st.tuples(STREAM, CUTS, st.just(True)), st.tuples(WHOLE, CUTS, st.just(False))))
@example((b"data: " + b"[" * DEEP + b"\n\n", [], True))
@example((b"[" * DEEP, [], False))
def test_each_answer_leaves_a_line(plugins: SimpleNamespace, given: tuple[bytes, list[int], bool]) -> None:
    line = audited(plugins, *given)
    assert list(line) == FIELDS
    for name in ("input_tokens", "output_tokens", "cached_tokens"):
        assert type(line[name]) is int, line
        assert line[name] >= 0, line


@given(STREAM, CUTS)
def test_a_stream_is_passed_on_or_the_next_model_is_asked(
    plugins: SimpleNamespace, answer: bytes, cuts: list[int]
) -> None:
    got, asked = converse(plugins, cut(answer, cuts))
    assert (got, asked) in ((answer, ["local"]), (b"".join(said("cloud")), ["local", "haiku"]))


@given(WHOLE, CUTS)
def test_a_document_is_passed_on_or_the_next_model_is_asked(
    plugins: SimpleNamespace, answer: bytes, cuts: list[int]
) -> None:
    got, asked = converse(plugins, cut(answer, cuts), kind="application/json")
    assert (got, asked) in ((answer, ["local"]), (b"".join(said("cloud")), ["local", "haiku"]))


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@given(
    st.text(max_size=200) | st.sampled_from(["exceeded your " * 100_000, "x" * 1_000_000]),
    ODD | st.just(nested(5000)),
    ODD,
)
def test_an_error_is_one_of_our_own_words(plugins: SimpleNamespace, words: str, body: Any, retry: Any) -> None:
    error = type("BadRequestError", (Exception,), {"body": body, "litellm_response_headers": {"retry-after": retry}})(
        words
    )
    assert plugins.error_classes.error_class(error) in {
        *plugins.error_classes.BY_ERROR.values(),
        *plugins.error_classes.BY_STATUS.values(),
        "quota",
    }
    rest = plugins.failover.retry_after(error)
    assert rest is None or 1 <= rest <= plugins.failover.LONGEST_REST


@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers(1, 10**400), max_size=3))
def test_what_is_loaded_is_told(plugins: SimpleNamespace, tokens: dict[str, int | None]) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    serve = plugins.status_route.around(None, {"/signalbox/models": lambda: tokens, "/signalbox/servers": dict})
    asyncio.run(serve({"type": "http", "path": "/signalbox/models"}, None, send))
    assert json.loads(sent[1]["body"]) == tokens


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "piece", [b"a" * (1 << 16), b"\n" * (1 << 16), b"data: a\n" * (1 << 13), b": a\n\n" * (1 << 13)]
)
def test_what_is_kept_of_an_answer_has_a_bound(plugins: SimpleNamespace, piece: bytes, stream: bool) -> None:
    """6 MiB come; of an answer that is not yet one the client gets nothing, so it must be let go of."""
    answer, judge = plugins.token_usage.AnswerUsage(), plugins.answer_judge.Judge(stream, True)
    taken = 0
    while taken < 6 << 20:
        answer.take(piece, stream)
        judge.take(piece)
        taken += len(piece)
        for keeper in (answer, judge):
            assert len(keeper._events._open) + len(keeper._document._data) <= plugins.json_document.MOST
        assert judge.verdict or taken <= plugins.json_document.MOST
    answer.end(stream)
    assert answer.counted() is None
