"""What the gateway refuses, and in which words."""

from __future__ import annotations

import asyncio
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway_plugins import PACKAGE

RELAY = b"5e" * 32  # what this container's supervisor was given


class CustomLogger:
    """Stands where LiteLLM's base class would."""


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "RELAY").write_bytes(RELAY)
    monkeypatch.setenv("SIGNALBOX_SECRETS", str(tmp_path))

    class HTTPException(Exception):  # noqa: N818 (FastAPI's name)
        def __init__(self, status_code: int, detail: str) -> None:
            self.status_code, self.detail = status_code, detail

    modules = {name: types.ModuleType(name) for name in ("fastapi", "litellm", "litellm.integrations")}
    logger = types.ModuleType("logger")
    logger.CustomLogger = CustomLogger  # type: ignore[attr-defined]
    modules["fastapi"].HTTPException = HTTPException  # type: ignore[attr-defined]
    for name, module in {**modules, "litellm.integrations.custom_logger": logger}.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield importlib.import_module(f"{PACKAGE}.error_messages").plugin
    del sys.modules[f"{PACKAGE}.error_messages"]


def test_a_refused_key_is_told_what_to_do(refused: Any) -> None:
    def told(kind: str) -> Any:
        error = Exception()
        error.type = kind  # type: ignore[attr-defined]
        return asyncio.run(refused.async_post_call_failure_hook({}, error, None))

    answer = told("no_db_connection")  # what LiteLLM 1.108 makes of a key that is not its own
    assert answer.status_code == 400
    assert "--continue" in answer.detail
    assert told("budget_exceeded") is None


@pytest.mark.parametrize(
    ("kind", "path", "is_open"),
    [
        ("http", "/v1/messages", True),
        ("http", "/v1/messages/count_tokens", True),
        ("http", "/v1/chat/completions", True),
        ("http", "/v1/models", True),
        ("http", "/health/readiness", True),
        ("lifespan", "", True),
        ("http", "/signalbox/servers", True),
        ("http", "/health", False),  # bills
        ("http", "/model/info", False),
        ("http", "/v1/model/info", False),
        ("http", "/guardrails/test_custom_code", False),
        ("http", "/v1/messages/../../config/yaml", False),
        ("http", "/v1/models\n", False),
        ("websocket", "/v1/responses", False),
    ],
)
def test_only_questions_to_models_are_answered(refused: Any, kind: str, path: str, is_open: bool) -> None:
    reached, sent = asked(refused, kind, path, RELAY)
    assert bool(reached) == is_open
    assert bool(sent) != is_open


@pytest.mark.parametrize("told", [(), (b"",), (b"6f" * 32,), (RELAY[:-1],), (RELAY + b"0",)])
def test_who_asks_past_the_supervisor_is_not_answered(refused: Any, told: tuple[bytes, ...]) -> None:
    for path in ("/v1/messages", "/v1/models", "/health/readiness"):
        reached, sent = asked(refused, "http", path, *told)
        assert not reached
        assert sent[0]["status"] == 404


def test_what_the_supervisor_adds_is_not_passed_on(refused: Any) -> None:
    (seen,), _ = asked(refused, "http", "/v1/messages", b"made up by the client", RELAY)
    assert seen["headers"] == [(b"accept", b"*/*")]


def asked(refused: Any, kind: str, path: str, *told: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ask with these relay headers; return what the application was asked, and what was answered before it."""
    reached: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        reached.append(scope)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"accept", b"*/*"), *((b"x-signalbox-relay", value) for value in told)]
    asyncio.run(refused.around(application)({"type": kind, "path": path, "headers": headers}, None, send))
    return reached, sent
