"""What runs inside the gateway's container: the start script, and the plug-in against real sockets."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from signalbox.render import TEMPLATES, render


class Start:
    """The start script with secrets in a directory and an entrypoint that tells its environment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.provider = directory / "ANTHROPIC_DIRECT_KEY"
        self.provider.write_text("sk-ant '$(id) x\n")
        self.key = directory / "LITELLM_MASTER_KEY"
        self.key.write_text("sk-gateway\n")
        entrypoint = directory / "entrypoint"
        entrypoint.write_text('#!/bin/sh\nprintf "%s\\n" "$ANTHROPIC_DIRECT_KEY" "$LITELLM_MASTER_KEY" "$@"; exit 7\n')
        entrypoint.chmod(0o755)
        self.script = directory / "start"
        # The plug-in's directory is the container's own /tmp; here it must not be this machine's.
        rendered = render("gateway/start", entrypoint=str(entrypoint), gateway_key="LITELLM_MASTER_KEY")
        self.script.write_text(
            rendered.replace("/tmp/signalbox", str(directory / "plug-in"))  # noqa: S108
        )

    def run(self, required: str = "ANTHROPIC_DIRECT_KEY") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "SIGNALBOX_SECRETS": str(self.directory),
            "SIGNALBOX_REQUIRED": required,
        }
        command = ["sh", str(self.script), "--config", "a b", "--port", "4000"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)

    def refused(self, required: str = "ANTHROPIC_DIRECT_KEY") -> str:
        done = self.run(required)
        assert (done.returncode, done.stdout) == (78, "")
        return done.stderr.replace(str(self.directory), "…").strip()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def test_the_entrypoint_gets_the_keys_and_the_arguments(start: Start) -> None:
    done = start.run()
    told = ["sk-ant '$(id) x", "sk-gateway", "--config", "a b", "--port", "4000"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (7, told, "")


def test_the_plug_in_arrives_as_it_is(start: Start) -> None:
    start.run()
    placed = start.directory / "plug-in/reachability.py"
    assert placed.read_text().strip() == (TEMPLATES / "gateway/reachability.py").read_text().strip()


def test_what_is_missing_or_empty_is_told(start: Start) -> None:
    assert start.refused("ANTHROPIC_DIRECT_KEY LMSTUDIO_TOKEN") == (
        "signalbox: …/LMSTUDIO_TOKEN is missing or unreadable; run the deploy again"
    )
    start.key.write_text("none\n")
    assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY holds no key (sk-…); run the deploy again"
    for nothing in ("\n", ""):
        start.key.write_text(nothing)
        assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY is empty; set that secret and run the deploy again"
    start.key.unlink()
    assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY is missing or unreadable; run the deploy again"


class CustomLogger:
    """Stands where LiteLLM's base class would: the plug-in takes only its constructor from it."""


class ServiceUnavailableError(Exception):
    """Stands where LiteLLM's error would."""

    def __init__(self, message: str, **_: str) -> None:
        super().__init__(message)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    litellm, integrations, logger = (types.ModuleType(name) for name in ("litellm", "integrations", "logger"))
    litellm.ServiceUnavailableError = ServiceUnavailableError  # type: ignore[attr-defined]
    logger.CustomLogger = CustomLogger  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    monkeypatch.setitem(sys.modules, "litellm.integrations", integrations)
    monkeypatch.setitem(sys.modules, "litellm.integrations.custom_logger", logger)
    monkeypatch.setenv("SIGNALBOX_PROBE_SECONDS", "0.5")
    spec = importlib.util.spec_from_file_location("reachability", TEMPLATES / "gateway/reachability.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deployments(*urls: str | None) -> list[dict[str, Any]]:
    return [{"model_info": {"probe_url": url} if url else {}} for url in urls]


class Refuses(BaseHTTPRequestHandler):
    """A server that is there and wants a token."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Refuses)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_any_answer_will_do_and_a_cloud_is_not_asked(plugin: Any, server: HTTPServer) -> None:
    there = deployments(f"http://127.0.0.1:{server.server_address[1]}/api/v1/models", None)
    assert asyncio.run(plugin.plugin.async_filter_deployments("local", there, None)) == there


def test_a_server_that_is_gone_is_left_out_and_taken_back(plugin: Any, server: HTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}/models"
    plugin.plugin._gone_until[url] = time.monotonic() + 0.5

    async def ask() -> Any:
        return await plugin.plugin.async_filter_deployments("local", deployments(url), None)

    async def twice() -> Any:
        with pytest.raises(ServiceUnavailableError):
            await ask()
        await asyncio.sleep(0.6)
        return await ask()

    assert asyncio.run(twice()) == deployments(url)


def test_a_silent_server_costs_its_patience_once(plugin: Any, silent: int) -> None:
    plugin.PATIENCE = 0.3
    url = f"http://127.0.0.1:{silent}/models"

    async def ask() -> float:
        started = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match=rf"the server of 'local' does not answer at {url}"):
            await plugin.plugin.async_filter_deployments("local", deployments(url), None)
        return time.monotonic() - started

    async def twice() -> tuple[float, float]:
        return await ask(), await ask()

    first, second = asyncio.run(twice())
    assert first >= 0.3
    assert second < 0.1
