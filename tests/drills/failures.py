"""The kinds of local model servers, the ways in which they fail, and questions to the gateway before them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import requests

from tests.drills import asking, looks
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until

ASKING = Path(asking.__file__).read_text()
AUDIT = "/var/lib/signalbox/audit/requests.jsonl"
CLOUD, FALLBACK = "Anthropic", "claude-haiku-4-5"
STREAM_TIMEOUT = 5  # seconds; a drill cannot wait for the default
BACK_WITHIN = 45.0  # seconds until a drill gives up; the figure tells what it was
LOADING = 3  # seconds that a simulated server takes to load a model that is asked for


@dataclass(frozen=True)
class Kind:
    """A kind of local server: its simulator, what that calls itself, its record in the settings, and its model.

    opening: events of its streams that come before the first word.
    one_model: it has the model for as long as it lives, and does not listen, or refuses, while it loads it.
    """

    server: str
    says: str
    record: Mapping[str, Any]
    model: str
    opening: int = 1
    one_model: bool = False


@dataclass(frozen=True)
class Fault:
    """A failure: the simulator's fault, "off" or "unload", and what comes of it.

    path: shell pattern of what fails; None: where a model is asked. by: who answers the first request; an "error" is
    a well-formed one, and the next request is answered by the fallback. wait: whether a timeout has to pass first.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    by: Literal["fallback", "error", "local"] = "fallback"
    wait: bool = False


BEFORE_WORDS = {"after_chunks": 1}  # of a server like LM Studio; `broken` knows the others
FAULTS = (
    Fault("refused", "refuse"),
    *(Fault(kind, kind) for kind in ("401", "429", "500", "503", "drop", "overflow")),
    Fault("cut before the first word", "cut", BEFORE_WORDS),
    Fault("cut mid-stream", "cut", {"after_chunks": 3}, by="error"),
    Fault("hang", "hang", wait=True),
    Fault("stall before the first word", "stall", BEFORE_WORDS, wait=True),
    Fault("stall mid-stream", "stall", {"after_chunks": 3}, by="error", wait=True),
)
OFF = Fault("host off", "off", wait=True)


def loading(kind: Kind) -> Fault:
    """Return what a server of this kind does while it loads its model."""
    if kind.server == "llamacpp":
        return Fault("loading", "503", path="*")  # "Loading model" on every path
    if kind.one_model:
        return Fault("loading", "refuse")  # it listens when it is done
    return Fault("loading", "hang", {"seconds": LOADING}, by="local", wait=True)  # the request waits for it


def unloaded(kind: Kind, *, claude_code: bool = False) -> Fault:
    """Return what becomes of a request, Claude Code's or a short one, when the model is not in memory any more."""
    if kind.server == "webui":
        return Fault("model unloaded", "503")  # "Server Connection Error": the server behind it has gone
    if kind.one_model:
        return Fault("model unloaded", "refuse")  # it is in memory for as long as the server lives
    if kind.server == "lmstudio" and claude_code:
        return Fault("model unloaded", "unload")  # loaded again with 4096 tokens: fewer than Claude Code asks with
    return Fault("model unloaded", "unload", by="local")  # the server loads it again


def kinds(at: Mapping[str, str]) -> dict[str, Kind]:
    """Return every kind of local server, by its name in the settings. at: URLs of the simulators."""

    def record(kind: str, server: str, model: str, path: str = "", **more: Any) -> dict[str, Any]:
        return {"kind": kind, "url": at[server] + path, "models": {f"on-{server}": {"id": model}}, **more}

    return {
        "lm_studio": Kind("lmstudio", "LM Studio", {}, "local"),
        "ollama": Kind("ollama", "Ollama", record("ollama", "ollama", "gemma4:26b-a4b"), "on-ollama", opening=0),
        "llama_cpp": Kind(
            "llamacpp", "llama.cpp", record("llama_cpp", "llamacpp", "qwen3.6-27b-mtp"), "on-llamacpp", one_model=True
        ),
        "vllm": Kind("vllm", "vLLM", record("vllm", "vllm", "devstral"), "on-vllm", one_model=True),
        "openai_compatible": Kind(
            "webui",
            "Open WebUI",
            record("openai_compatible", "webui", "gemma4", "/api", token="WEBUI_KEY"),  # noqa: S106 (a name)
            "on-webui",
        ),
    }


def urls(stage: Stage) -> dict[str, str]:
    """Return where each simulated server listens."""
    return {name: f"http://{each['bind']}:{each['port']}" for name, each in stage.simulators.servers().items()}


def settings(every: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the settings of a host with all these kinds, each with a cloud behind it."""
    return {
        "backends": {kind.server: dict(kind.record) for kind in every.values() if kind.record},
        "gateway": {
            "stream_timeout_seconds": STREAM_TIMEOUT,
            "fallbacks": {kind.model: [FALLBACK] for kind in every.values()},
        },
    }


def ask(model: str = "local", text: str = "say hello", *, host: str = HOST, **more: Any) -> list[dict[str, Any]]:
    """Ask the gateway on the host, from the host; more: see asking.py."""
    asked = json.dumps({"model": model, "text": text, **more})
    limit = max(300, more.get("patience", 0) + 60)
    done = hosts.run(host, f"python3 - {looks.quoted(asked)}", user="claude", stdin=ASKING, timeout=limit)
    return list(json.loads(done.stdout))


def audit(after: int = 0, *, host: str = HOST) -> list[dict[str, Any]]:
    """Return the audit's lines behind the first `after`, as the service user reads them."""
    lines = looks.answer(f"tail -n +{after + 1} {AUDIT} 2>/dev/null || true", host=host).splitlines()
    return [json.loads(line) for line in lines]


def audited(after: int, count: int, model: str = "local", *, host: str = HOST) -> list[dict[str, Any]]:
    """Return `count` new lines of questions to a model: a line is written when its answer is over, a moment later."""

    def new() -> list[dict[str, Any]]:
        return [line for line in audit(after, host=host) if line["asked"] == model]

    wait_until(lambda: len(new()) >= count, 10, 0.2)
    lines = new()
    assert len(lines) == count, f"{count} requests, and the audit has {len(lines)} lines: {lines}"
    return lines


def local_again(kind: Kind, since: float | None = None) -> float:
    """Wait until the kind's own server answers, and return the seconds since then (time.monotonic()), or from now."""
    started = time.monotonic() if since is None else since
    (told,) = ask(kind.model, words=kind.says, seconds=BACK_WITHIN)
    assert kind.says in told["text"], f"{kind.says} is not asked again within {BACK_WITHIN} s of its recovery: {told}"
    return time.monotonic() - started


@contextmanager
def fault(stage: Stage, server: str, kind: str, path: str | None = None, **options: Any) -> Iterator[None]:
    """Make the answers of this server fail; its list of models is as it was, unless `path` says otherwise."""
    usual = "/v1/messages" if server == "anthropic" else "*/chat*"
    where = {} if kind == "refuse" else {"path": path or usual}
    stage.simulators.fault(server, kind, **where, **options)
    try:
        yield
    finally:
        stage.simulators.heal(server)


@contextmanager
def broken(stage: Stage, kind: Kind, each: Fault) -> Iterator[None]:
    """Have a server of this kind fail in this way."""
    more = {"after_chunks": kind.opening} if each.options is BEFORE_WORDS else each.options
    with (
        off(urls(stage)[kind.server])
        if each.kind == "off"
        else _unloaded(stage, kind)
        if each.kind == "unload"
        else fault(stage, kind.server, each.kind, each.path, **more)
    ):
        yield


@contextmanager
def off(url: str) -> Iterator[None]:
    """Drop every packet of the host to this server."""
    address, port = url.removeprefix("http://").split(":")
    rules = (
        "add table ip drill; add chain ip drill out { type filter hook output priority 0; };"
        f"add rule ip drill out ip daddr {address} tcp dport {port} drop"
    )
    hosts.run(HOST, f"nft '{rules}'")
    try:
        yield
    finally:
        hosts.run(HOST, "nft delete table ip drill")


@contextmanager
def options(stage: Stage, server: str, **given: Any) -> Iterator[None]:
    """Have a simulated server's options so for as long as the block lasts; afterwards they are as before."""
    before = stage.simulators.options(server)
    stage.simulators.options(server, **given)
    try:
        yield
    finally:
        stage.simulators.options(server, **{name: before[name] for name in given})


@contextmanager
def _unloaded(stage: Stage, kind: Kind) -> Iterator[None]:
    """Have the model out of the server's memory, as its own interface does it; afterwards it is in it as before."""
    if kind.server == "ollama":
        with options(stage, "ollama", loaded=None):
            yield
        return
    with loaded_with(stage, kind, None):
        yield


@contextmanager
def loaded_with(stage: Stage, kind: Kind, context: int | None) -> Iterator[None]:
    """Have LM Studio's model loaded with so many tokens of context (None: not at all); afterwards it is as before."""
    base = f"{urls(stage)[kind.server]}/api/v1/models"

    def tell(verb: str, **words: Any) -> None:
        requests.post(f"{base}/{verb}", json=words, timeout=10).raise_for_status()

    entry = next(each for each in requests.get(base, timeout=10).json()["models"] if each["loaded_instances"])
    before = entry["loaded_instances"][0]["config"]["context_length"]
    tell("unload", instance_id=entry["key"])
    if context:
        tell("load", model=entry["key"], context_length=context)
    try:
        yield
    finally:
        tell("load", model=entry["key"], context_length=before)
