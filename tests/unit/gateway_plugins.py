"""The gateway's plug-ins without LiteLLM: what they take from it stands here."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signalbox.host import gateway

PACKAGE = "signalbox.host.gateway"
# plugins.py itself takes more of LiteLLM than stands here, as do the two that speak for it.
OURS = tuple(
    module.stem
    for module in sorted(Path(gateway.__file__).parent.glob("*.py"))
    if module.stem not in ("__init__", "plugins", "auth", "error_messages", "disconnects")
)


class ServiceUnavailableError(Exception):
    """Stands where LiteLLM's error would."""

    def __init__(self, message: str, **_: str) -> None:
        super().__init__(message)


class BadRequestError(ServiceUnavailableError):
    """Stands where LiteLLM's error would."""


class ContextWindowExceededError(BadRequestError):
    """Stands where LiteLLM's error would."""


def token_counter(model: str, text: str) -> int:
    """Stands where LiteLLM's count would: a token a word."""
    assert model == ""
    return len(text.split())


def price(model: str, usage_object: Any) -> tuple[float, float]:
    """Stands where LiteLLM's list of prices would: one model, a dollar a token."""
    if model != "claude-sonnet-4-6":
        raise ValueError(model)
    return float(usage_object.prompt_tokens), float(usage_object.completion_tokens)


@contextmanager
def loaded(monkeypatch: pytest.MonkeyPatch, audit: Path) -> Iterator[types.SimpleNamespace]:
    """Our modules, loaded afresh, with the audit in this directory."""
    names = ("litellm", "litellm.integrations", "litellm.integrations.custom_logger", "litellm.proxy")
    litellm, _, logger, proxy = (types.ModuleType(name) for name in names)
    litellm.Usage = types.SimpleNamespace  # type: ignore[attr-defined]
    litellm.cost_per_token = price  # type: ignore[attr-defined]
    litellm.ServiceUnavailableError = ServiceUnavailableError  # type: ignore[attr-defined]
    litellm.BadRequestError = BadRequestError  # type: ignore[attr-defined]
    litellm.ContextWindowExceededError = ContextWindowExceededError  # type: ignore[attr-defined]
    litellm.token_counter = token_counter  # type: ignore[attr-defined]
    logger.CustomLogger = type("CustomLogger", (), {})  # type: ignore[attr-defined]
    router = types.SimpleNamespace(model_list=[])
    proxy.proxy_server = types.SimpleNamespace(llm_router=router)  # type: ignore[attr-defined]
    httpx = types.ModuleType("litellm.llms.custom_httpx")
    httpx.http_handler = types.SimpleNamespace(_ssl_context_cache={})  # type: ignore[attr-defined]
    for module in (litellm, logger, proxy, httpx, types.ModuleType("litellm.llms")):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "litellm.integrations", types.ModuleType("litellm.integrations"))
    monkeypatch.setenv("SIGNALBOX_AUDIT", str(audit))
    monkeypatch.setenv("SIGNALBOX_LOCAL", "lmstudio")
    monkeypatch.setenv("SIGNALBOX_AUDIT_COMPARED_WITH", "claude-sonnet-4-6")
    monkeypatch.setenv("SIGNALBOX_PROBE_SECONDS", "0.1")
    monkeypatch.setenv("SIGNALBOX_COOLDOWN_SECONDS", "5")
    try:
        modules = {name: importlib.import_module(f"{PACKAGE}.{name}") for name in OURS}
        yield types.SimpleNamespace(router=router, **modules)
    finally:
        for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
            del sys.modules[name]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[types.SimpleNamespace]:
    """Our modules, loaded afresh."""
    with loaded(monkeypatch, tmp_path) as modules:
        yield modules
