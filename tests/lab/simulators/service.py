"""The simulators as a service of the lab: start, stop, and what a host's settings need to know of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.simulators.client import STATE_FILE, Client, ControlError
from tests.lab.simulators.personalities import (
    azure_foundry,
    bedrock,
    deepseek,
    gemini,
    llama_cpp,
    mistral,
    ollama,
    open_webui,
    openai,
    openrouter,
    personalities,
    vllm,
)
from tests.lab.simulators.personalities.anthropic_cloud import API_KEY
from tests.lab.simulators.personalities.lm_studio_errors import API_TOKEN
from tests.lab.simulators.personalities.lm_studio_models import MODEL

ROOT = Path(__file__).parents[3]
LOG = "simulators.log"
START_TIMEOUT = 15  # seconds; it takes about one
STOP_TIMEOUT = 5  # seconds until SIGTERM becomes SIGKILL


class ServiceError(RuntimeError):
    """The simulators do not run, or could not be started."""


def start(bind: str, state: Path, ports: dict[str, int] | None = None) -> None:
    """Start the simulators on this address, detached; returns when they answer.

    state: a directory for the state file, the log and the requests. ports: by name ("anthropic", "lmstudio",
    "control") where not the usual one; 0: any free one. Running ones are left alone.
    Raises ServiceError with the end of the log when they do not come up.
    """
    state.mkdir(parents=True, exist_ok=True)
    if _answers(state):
        return
    (state / STATE_FILE).unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.lab.simulators", "serve", "--bind", bind, "--state", str(state.resolve())]
    for name, port in (ports or {}).items():
        command += ["--port", f"{name}={port}"]
    with (state / LOG).open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if _answers(state):
            return
        if process.poll() is not None:
            raise ServiceError(f"the simulators ended at once: {_log_end(state)}")
        time.sleep(0.1)
    process.kill()
    process.wait()
    raise ServiceError(f"the simulators did not answer within {START_TIMEOUT} s: {_log_end(state)}")


@dataclass(frozen=True)
class Running:
    """Simulators that run: the URLs of the servers, and the control channel."""

    control: Client
    lmstudio: str
    ollama: str
    llamacpp: str
    vllm: str
    webui: str
    anthropic: str
    foundry: str
    mistral: str
    openai: str
    gemini: str
    openrouter: str
    deepseek: str
    bedrock: str
    vertex: str
    searxng: str


@contextmanager
def running(state: Path, bind: str = "127.0.0.1") -> Iterator[Running]:
    """Simulators on free ports for as long as the block lasts; for tests."""
    start(bind, state, dict.fromkeys(("control", *(each.name for each in personalities())), 0))
    try:
        where = json.loads((state / STATE_FILE).read_text())
        yield Running(control=Client(where["control"]), **where["servers"])
    finally:
        stop(state)


def stop(state: Path) -> None:
    """Stop the simulators that were started with this state directory; none there is fine."""
    pid = _pid(state)
    if pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT
        while time.monotonic() < deadline and _ours(pid, state):
            time.sleep(0.05)
        if not _ours(pid, state):
            break
    with suppress(ChildProcessError):  # started by this very process: take its exit status
        os.waitpid(pid, 0)
    (state / STATE_FILE).unlink(missing_ok=True)


def settings(bind: str, state: Path) -> dict[str, Any]:  # noqa: ARG001 (every service of the lab is asked alike)
    """Settings sections that point a host at the running simulators. Raises ServiceError when none run."""
    where = urls(state)
    return {
        "backends": {"lmstudio": {"url": where["lmstudio"], "models": {"local": {"id": MODEL}}}},
        "clouds": {"anthropic": {"url": where["anthropic"]}},
    }


def urls(state: Path) -> dict[str, str]:
    """Where each of the running simulators listens, by its name. Raises ServiceError when none run."""
    try:
        return dict(json.loads((state / STATE_FILE).read_text())["servers"])
    except FileNotFoundError:
        raise ServiceError(f"no simulators run with the state directory {state}; start them first") from None


def credentials() -> dict[str, str]:
    """The secrets that the simulators accept, by the names that settings use. No real service knows them."""
    return {
        "ANTHROPIC_DIRECT_KEY": API_KEY,
        "BEDROCK_KEY": bedrock.API_KEY,
        "DEEPSEEK_KEY": deepseek.API_KEY,
        "GEMINI_KEY": gemini.API_KEY,
        "OPENAI_KEY": openai.API_KEY,
        "OPENROUTER_KEY": openrouter.API_KEY,
        "FOUNDRY_API_KEY": azure_foundry.API_KEY,
        "LLAMA_KEY": llama_cpp.LlamaCpp.token,
        "LMSTUDIO_TOKEN": API_TOKEN,
        "MISTRAL_API_KEY": mistral.API_KEY,
        "OLLAMA_TOKEN": ollama.Ollama.token,
        "VLLM_KEY": vllm.VLLM.token,
        "WEBUI_KEY": open_webui.OpenWebUI.token,
    }


def _answers(state: Path) -> bool:
    if _pid(state) is None:
        return False
    try:
        Client.of(state).servers()
    except ControlError:
        return False
    return True


def _pid(state: Path) -> int | None:
    """The process of this state directory, if it still is that process."""
    try:
        pid = int(json.loads((state / STATE_FILE).read_text())["pid"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return pid if _ours(pid, state) else None


def _ours(pid: int, state: Path) -> bool:
    """Whether this process is the simulators of this state directory: pids are used again."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False
    return b"tests.lab.simulators" in arguments and str(state.resolve()).encode() in arguments


def _log_end(state: Path) -> str:
    return (state / LOG).read_text()[-2000:].strip() or "nothing in its log"
