"""What hosts answer to us, at random and at their worst: the declared error comes out, and no other."""

from __future__ import annotations

import json
import math
import secrets
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from signalbox.desired import symptoms
from signalbox.engine import lock
from signalbox.engine.lock import Lock, LockError, Owner
from signalbox.engine.readahead.question import Question
from signalbox.engine.readahead.stream import Stream
from signalbox.fleet.usage import Usage
from signalbox.fleet.verify import Answer, Health, _report
from signalbox.host.launcher import usage as rows_of
from signalbox.host.shared.output import shown

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
LINES = st.lists(st.text(st.characters(exclude_characters="\n")), min_size=1, max_size=5)
DEEP = "[" * 200_000
FINDING = {"symptom": "clock", "level": "failure", "what": "w", "seen": "s", "cause": "c", "cure": "d"}
HEALTH: dict[str, Any] = {"epoch": 1.5, "checks": [{"title": "t", "problem": ""}], "findings": [FINDING]}
ROW: dict[str, Any] = dict.fromkeys(rows_of.SUMS, 1) | {"day": "2026-11-20", "lane": "local", "backend": None}
OWNER = {"who": "ann", "reason": "r", "run": "1", "since": "noon", "expires": "night", "pid": 7}


def changed(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A whole answer with one member taken out, or with another value."""

    def change(key: str, value: object, out: bool) -> dict[str, Any]:
        rest = {name: each for name, each in whole.items() if name != key}
        return rest if out else rest | {key: value}

    return st.builds(change, st.sampled_from(sorted(whole)), ANY, st.booleans())


def health(answer: object) -> None:
    with suppress(FactProcessError):
        told = Health().process([json.dumps(answer)])
        assert _report("box", told, 1.0).to_json()


@given(ANY | changed(HEALTH) | changed(FINDING).map(lambda finding: {**HEALTH, "findings": [finding]}))
def test_health(answer: object) -> None:
    health(answer)


@given(LINES)
def test_health_that_is_no_json(lines: list[str]) -> None:
    with suppress(FactProcessError):
        Health().process(lines)


@pytest.mark.parametrize(
    "text",
    [DEEP, "{}", json.dumps({**HEALTH, "findings": [{**FINDING, "symptom": "no-such"}]}), "NaN",
     json.dumps({**HEALTH, "epoch": math.inf}), json.dumps({**HEALTH, "epoch": -1})],
)  # fmt: skip
def test_health_that_is_refused(text: str) -> None:
    with pytest.raises(FactProcessError):
        Health().process([text])


def test_health_behind_a_greeting_drives_no_terminal() -> None:
    told: Answer = Health().process(["Welcome!", json.dumps({**HEALTH, "findings": [{**FINDING, "seen": "\x1b[2Jx"}]})])
    assert told.findings[0].seen == "\\x1b[2Jx"
    assert symptoms.words(told.findings[0].symptom, told.findings[0].seen)


def usage(lines: list[str]) -> None:
    with suppress(FactProcessError):
        rows = rows_of.merged(Usage().process(lines))
        assert not rows or rows_of.table(rows)


@given(ANY | changed(ROW).map(lambda row: [row]))
def test_usage(answer: object) -> None:
    usage(json.dumps(answer, indent=2).splitlines())


@given(LINES)
def test_usage_that_is_no_json(lines: list[str]) -> None:
    usage(lines)


def test_usage_is_read_behind_a_greeting_and_deep_nesting_is_refused() -> None:
    assert Usage().process(["[motd] hello", *json.dumps([ROW, ROW], indent=2).splitlines()])[1]["requests"] == 1
    assert Usage().process(["[]"]) == []
    with pytest.raises(FactProcessError):
        Usage().process([DEEP])
    with pytest.raises(FactProcessError):
        Usage().process([json.dumps([{**ROW, "requests": 10**400}])])


@given(st.text() | (ANY | changed(OWNER)).map(json.dumps) | st.just(DEEP))
def test_an_owner_is_an_owner_or_somebody(line: str) -> None:
    owner = Owner.read(line)
    assert isinstance(owner.pid, int)
    assert shown(str(owner)) == str(owner)


def test_an_owner_is_read() -> None:
    assert Owner.read(json.dumps(OWNER)).pid == 7
    for pid in ("7; reboot", 7.0, True, None):
        assert Owner.read(json.dumps({**OWNER, "pid": pid})).who == "somebody"


class Pipe:
    """What a host's shell says when it is asked for the lock."""

    def __init__(self, said: bytes) -> None:
        self.left, self.closed = said, False

    def read(self) -> bytes:
        line, end, self.left = self.left.partition(b"\n")
        return (line + end)[: lock._LINE_BYTES]

    def write(self, line: str) -> None: ...

    def close(self) -> None:
        self.closed = True


class Host:
    def log(self, _line: str) -> None: ...


def taken(monkeypatch: pytest.MonkeyPatch, said: bytes) -> tuple[Lock, Pipe]:
    pipe = Pipe(said)
    monkeypatch.setattr(Lock, "_open", lambda *_: pipe)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "word")
    return Lock(Host(), {}, Owner(**OWNER), "{}", 0, 60), pipe  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    [b"", b"hello\n", b"\xff\xfe\n" * 10, b"x\n" * 100_000, b"word\n", b"word taken\n", b"word taken soon\n",
     b"word taken " + b"9" * 5000 + b"\n", b"taken 5\n", b"word released\n", b"word waiting {}\n"],
)  # fmt: skip
def test_a_shell_that_does_not_take_the_lock_is_told(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    with pytest.raises(LockError, match="shell"):
        taken(monkeypatch, said)


def test_a_greeting_is_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    held, _ = taken(monkeypatch, b"Welcome to box!\n\xff\n\x1b[1mmotd\x1b[0m\nword taken 1500\n")
    assert (held.busy, held.quiet) == (None, 1.5)
    other, pipe = taken(monkeypatch, b"Welcome to box!\nword waiting\nword busy " + json.dumps(OWNER).encode() + b"\n")
    assert other.busy == Owner(**OWNER)
    assert pipe.closed


class Channel:
    """A host that sends this, in pieces of `size` bytes, whatever it is asked."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = data, size

    def sendall(self, data: bytes) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...

    def recv(self, _size: int) -> bytes:
        piece, self.data = self.data[: self.size], self.data[self.size :]
        return piece


@given(
    st.lists(st.binary() | st.sampled_from([b"\nword 0 0\n", b"\nword 99999 0\n", b"\nword 0 " + b"9" * 5000 + b"\n"]))
)
def test_a_stream_of_anything_is_an_answer_or_none(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signalbox.engine.readahead.stream.secrets.token_hex", lambda _: "word")
        stream = Stream(Channel(b"".join(pieces), 7), [Question("a"), Question("b")])
        stream.answer(Question("a"), 5)
        stream.finish(5)
        assert stream._reader.successful()


def test_bytes_that_come_one_by_one_are_looked_through_once() -> None:
    stream = Stream(Channel(b"x" * 300_000, 1), [Question("a")])
    began = time.process_time()
    stream.finish(60)
    assert time.process_time() - began < 10  # looked through again and again, it is half an hour
