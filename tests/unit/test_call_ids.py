"""Ids of tool calls on their way to a client and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway_plugins import loaded


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    with loaded(monkeypatch, tmp_path) as plugins:
        yield plugins


def usual(ident: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", ident.split("__thought__")[0]) or "tool_use_id"


def turns(ident: str) -> list[Any]:
    called = {"type": "tool_use", "id": ident, "name": "Bash", "input": {}}
    result = {"type": "tool_result", "tool_use_id": ident, "content": "done"}
    return [{"role": "user", "content": "look"}, {"role": "assistant", "content": [called]},
            {"role": "user", "content": [result, {"type": "text", "text": ident}, "odd"]}, "odd"]  # fmt: skip


@pytest.mark.parametrize("ident", ["functions.Bash:0", "a b", "ü", "own-x.y"])
def test_a_servers_own_id_comes_back_as_it_was(plugins: Any, ident: str) -> None:
    given = plugins.call_ids.written(usual)(ident)
    assert re.fullmatch("[A-Za-z0-9_-]+", given)
    assert plugins.call_ids.read(given) == ident


@pytest.mark.parametrize(("ident", "given"), [("call_1", "call_1"), ("", "tool_use_id"), ("a.b__thought__x", "a_b")])
def test_others_are_litellms(plugins: Any, ident: str, given: str) -> None:
    assert plugins.call_ids.written(usual)(ident) == given


@pytest.mark.parametrize("ident", ["own-", "own-!", "own-____", "own-/w", None, 3])
def test_what_only_looks_like_one_stays(plugins: Any, ident: Any) -> None:
    assert plugins.call_ids.read(ident) == ident


@pytest.mark.parametrize("local", [True, False])
def test_the_server_on_ones_own_network_alone_gets_its_own(plugins: Any, local: bool) -> None:
    given = plugins.call_ids.written(usual)("functions.Bash:0")
    info = {"id": "vllm/m", "probe_url": "http://x"} if local else {"id": "anthropic/m"}
    token = plugins.request_record._current.set(SimpleNamespace(tried=[plugins.request_record.Tried(info)]))
    try:
        found = plugins.call_ids.as_said(lambda messages: ["usual", *messages])(turns(given))
    finally:
        plugins.request_record._current.reset(token)
    wanted = turns("functions.Bash:0")
    wanted[2]["content"][1]["text"] = given  # words are nobody's id
    assert found == (wanted if local else ["usual", *turns(given)])
