"""The gateway is told which sessions may be billed in another model's place, by those who have its key alone."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway_plugins import plugins as plugins

SESSION = "13627198-99cc-4475-a19c-31a74b97d48b"


@pytest.fixture
def allow(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-right")
    return plugins.allow


def posted(allow: Any, session: Any, key: str = "sk-right", path: str | None = None) -> int | None:
    """Post it in two pieces; return the status, None where the request was passed on."""
    body = json.dumps({"session": session}).encode()
    pieces = [{"body": body[:9], "more_body": True}, {"body": body[9:]}]
    sent: list[dict[str, Any]] = []

    async def passed_on(*_: Any) -> None:
        """Answer nothing."""

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path or allow.PATH, "headers": [(b"authorization", f"Bearer {key}".encode())]}
    asyncio.run(allow.around(passed_on)(scope, receive, send))
    return sent[0]["status"] if sent else None


def is_allowed(allow: Any, session: str) -> bool:
    return bool(allow.allowed(SimpleNamespace(headers={"x-claude-code-session-id": session})))


def test_a_session_is_allowed_by_who_has_the_key(allow: Any) -> None:
    assert (posted(allow, SESSION, "sk-wrong"), is_allowed(allow, SESSION)) == (403, False)
    assert (posted(allow, SESSION), is_allowed(allow, SESSION)) == (200, True)
    assert not is_allowed(allow, SESSION[:-1])


@pytest.mark.parametrize("session", [None, "", 7, ["x"], "a b", "a\nb", "x" * 129])
def test_what_is_no_word_is_none(allow: Any, session: Any) -> None:
    assert posted(allow, session) == 400


def test_everything_else_is_passed_on(allow: Any) -> None:
    assert posted(allow, SESSION, path="/v1/messages") is None


def test_the_last_ones_are_kept_each_once_and_no_more(allow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allow, "MOST", 3)
    for each in ("a", "b", "a", "c", "d"):
        assert posted(allow, each) == 200
    assert allow._sessions() == ["a", "c", "d"]
