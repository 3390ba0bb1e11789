"""Who answers when a model server fails, and how soon: kinds of servers and faults are data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.drills import asking, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "failover",
    "who answers when a model server fails",
    "Local backend kinds x faults, raw streaming requests and real Claude Code: who answered, time to first byte, "
    "total, what the audit says. Answered by the fallback within 150 ms of the fault being visible, but for hang and "
    "stall (the set timeout), cut mid-stream (a well-formed error) and host off (at most 3 s once). Back to local "
    "within 30 s of recovery.",
)

ASKING = Path(asking.__file__).read_text()
AUDIT = "/var/lib/signalbox/audit/requests.jsonl"
CLOUD, FALLBACK = "Anthropic", "claude-haiku-4-5"
STREAM_TIMEOUT = 5  # seconds; a drill cannot wait for the default
BACK_WITHIN = 45.0  # seconds until a drill gives up; the figure tells what it was


@dataclass(frozen=True)
class Kind:
    """A kind of local server: its simulator, what that calls itself, the gateway's name of its model, its record."""

    server: str
    says: str
    record: Mapping[str, Any]
    model: str = "local"


@dataclass(frozen=True)
class Fault:
    """A failure: the simulator's fault, and what comes of it.

    immediate: the next request is answered by the fallback with no wait for a timeout.
    error: the client gets a well-formed error instead, and its next request the fallback's answer.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    immediate: bool = True
    error: bool = False


FAULTS = (
    Fault("refused", "refuse"),
    *(Fault(kind, kind) for kind in ("401", "429", "500", "503", "drop", "overflow")),
    Fault("cut before the first word", "cut", {"after_chunks": 1}),
    Fault("cut mid-stream", "cut", {"after_chunks": 3}, error=True),
    Fault("hang", "hang", immediate=False),
    Fault("stall before the first word", "stall", {"after_chunks": 1}, immediate=False),
    Fault("stall mid-stream", "stall", {"after_chunks": 3}, immediate=False, error=True),
)


def kinds(at: Mapping[str, str]) -> dict[str, Kind]:
    """Return every kind of local server, by the name of its cell."""

    def record(kind: str, server: str, model: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "url": at[server], "models": {f"on-{server}": {"id": model}}, **more}

    return {
        "lm-studio": Kind("lmstudio", "LM Studio", {}),
        "ollama": Kind("ollama", "Ollama", record("ollama", "ollama", "gemma4:26b-a4b"), "on-ollama"),
        "llama-cpp": Kind("llamacpp", "llama.cpp", record("llama_cpp", "llamacpp", "qwen3.6-27b-mtp"), "on-llamacpp"),
        "vllm": Kind("vllm", "vLLM", record("vllm", "vllm", "devstral"), "on-vllm"),
    }


def ask(model: str = "local", text: str = "say hello", times: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Ask the gateway on the host, from the host."""
    asked = json.dumps({"model": model, "text": text, "times": times, **more})
    done = hosts.run(HOST, f"python3 - {looks.quoted(asked)}", user="claude", stdin=ASKING, timeout=300)
    return list(json.loads(done.stdout))


def audit(after: int = 0) -> list[dict[str, Any]]:
    """Return the audit's lines behind the first `after`, as the service user reads them."""
    lines = looks.answer(f"tail -n +{after + 1} {AUDIT} 2>/dev/null || true").splitlines()
    return [json.loads(line) for line in lines]


def audited(after: int, count: int) -> list[dict[str, Any]]:
    """Return `count` new lines of the audit: a line is written when its answer is over, a moment after the client."""
    wait_until(lambda: len(audit(after)) >= count, 10, 0.2)
    lines = audit(after)
    assert len(lines) == count, f"{count} requests, and the audit has {len(lines)} lines: {lines}"
    return lines


def local_again(kind: Kind) -> float:
    """Wait until the kind's own server answers, and return how many seconds that took."""
    started = time.monotonic()
    back = wait_until(lambda: kind.says in ask(kind.model)[0]["text"], BACK_WITHIN, 0.5)
    assert back, f"{kind.says} is not asked again within {BACK_WITHIN} s of its recovery: {ask(kind.model)}"
    return time.monotonic() - started


def settings(every: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the settings of a host with all these kinds, each with a cloud behind it."""
    return {
        "backends": {kind.server: dict(kind.record) for kind in every.values() if kind.record},
        "gateway": {
            "stream_timeout_seconds": STREAM_TIMEOUT,
            "fallbacks": {kind.model: [FALLBACK] for kind in every.values()},
        },
    }


@contextmanager
def fault(stage: Stage, server: str, kind: str, **options: Any) -> Iterator[None]:
    """Make the answers of this server fail; its list of models is as it was."""
    paths = {"anthropic": "/v1/messages", "ollama": "/*/chat*"}
    path = {} if kind == "refuse" else {"path": paths.get(server, "/v1/chat/completions")}
    stage.simulators.fault(server, kind, **path, **options)
    try:
        yield
    finally:
        stage.simulators.heal()


def _cell(stage: Stage, kind: Kind, each: Fault) -> str:
    """Break the server, ask twice, heal it; return what was seen."""
    local_again(kind)
    before = len(audit())
    with fault(stage, kind.server, each.kind, **each.options):
        first, again = ask(kind.model, times=2)
        lines = audited(before, 2)
    came = [CLOUD in each["text"] for each in (first, again)]
    if each.error:
        assert all((first["error"], first["ended"])), f"{each.name}: the client is left without an error: {first}"
        assert lines[0]["error_class"], lines[0]
    else:
        assert came[0], f"{each.name}: {first}"
        assert (lines[0]["fallback"], lines[0]["model"]) == (kind.model, FALLBACK), lines[0]
        assert lines[0]["error_class"], lines[0]
    assert came[1], f"{each.name}, the second request: {again}"
    if each.immediate:
        assert max(first["total"], again["total"]) < STREAM_TIMEOUT, f"{each.name} took as long as a timeout: {first}"
    back = local_again(kind)
    who = "error" if each.error else "fallback"
    told = f"{who} after {first['total']:.2f} s ({lines[0]['error_class']}), then {again['total']:.2f} s"
    return f"{told}, back after {back:.0f} s"


def _kind(name: str) -> None:
    def body(stage: Stage) -> Figures:
        stage.converged()
        every = kinds(urls(stage))
        stage.site(settings=settings(every)).deploy().ok()
        kind = every[name]
        ask(kind.model), ask(FALLBACK)  # the first request of a gateway loads what it needs
        normal = ask(kind.model, times=5)
        assert all(kind.says in each["text"] for each in normal), normal
        figures = {"no fault": f"{sorted(each['total'] for each in normal)[2]:.2f} s"}
        figures |= {each.name: _cell(stage, kind, each) for each in FAULTS}
        figures["host off"] = _host_off(stage, kind)
        return figures

    body.__doc__ = f"A simulated {name} server fails in every way, and the cloud answers."
    drill.cell(name)(body)


for _name in ("lm-studio", "ollama", "llama-cpp", "vllm"):
    _kind(_name)


def urls(stage: Stage) -> dict[str, str]:
    return {name: f"http://{each['bind']}:{each['port']}" for name, each in stage.simulators.servers().items()}


def _host_off(stage: Stage, kind: Kind) -> str:
    """Drop every packet to the server, from just after a probe."""
    local_again(kind)
    address, port = urls(stage)[kind.server].removeprefix("http://").split(":")
    rules = (
        "add table ip drill; add chain ip drill out { type filter hook output priority 0; };"
        f"add rule ip drill out ip daddr {address} tcp dport {port} drop"
    )
    before = len(audit())
    hosts.run(HOST, f"nft '{rules}'")
    try:
        told = ask(kind.model, times=4)
    finally:
        hosts.run(HOST, "nft delete table ip drill")
    assert all(CLOUD in each["text"] for each in told), told
    lines = audited(before, 4)
    assert {line["error_class"] for line in lines} <= {"unreachable", "timeout"}, lines
    back = local_again(kind)
    later = max(each["total"] for each in told[1:])
    return f"fallback after {told[0]['total']:.2f} s once, then {later:.2f} s at most, back after {back:.0f} s"


@drill.cell("quick", fixed=True)
def quick(stage: Stage) -> Figures:
    """A crash, a refused connection and an answer that is none: the fallback answers, and the audit says why."""
    stage.converged()
    kind = kinds(urls(stage))["lm-studio"]
    ask(kind.model), ask(FALLBACK)
    figures = {}
    for name, given, options in (
        ("500", "500", {}),
        ("refused", "refuse", {}),
        ("an empty answer", "garble", {}),
        ("<unused24>", "garble", {"text": "<unused24>"}),
    ):
        local_again(kind)
        before = len(audit())
        with fault(stage, kind.server, given, **options):
            (told,) = ask(kind.model)
        (line,) = audited(before, 1)
        assert CLOUD in told["text"], f"{name}: {told}"
        assert (line["asked"], line["model"], line["fallback"], line["lane"]) == ("local", FALLBACK, "local", "drill")
        figures[name] = f"fallback after {told['total']:.2f} s, {line['error_class']}"

    def without() -> None:
        with fault(stage, "anthropic", "500"), fault(stage, kind.server, "500"):
            (told,) = ask(kind.model)
        assert CLOUD in told["text"], told

    return {**figures, "control": must_fail(without, "the cloud broken, too")}


@drill.cell("malformed")
def malformed(stage: Stage) -> Figures:
    """What a local model prints in place of an answer: seen before the first word is out, and what is not."""
    stage.converged()
    kind = kinds(urls(stage))["lm-studio"]
    ask(kind.model), ask(FALLBACK)
    figures = {}
    for name, text, seen in (
        ("nothing", "", True),
        ("<unused24>", "<unused24>", True),
        ("<unused49> and text", "<unused49> I will", True),
        ("a call in tags", '<tool_call>{"name": "Bash", "arguments": {}}</tool_call>', True),
        ("a call as JSON", '{"name": "Bash", "arguments": {"command": "ls"}}', True),
        ("a call as Markdown", '```json\n{"name": "Bash", "arguments": {}}\n```', True),
        ("a call after words", 'I will look. <tool_call>{"name": "Bash"}</tool_call>', False),
    ):
        local_again(kind)
        before = len(audit())
        for stream in (True, False):
            with fault(stage, kind.server, "garble", text=text):
                (told,) = ask(kind.model, stream=stream, tools=True)
            (line,) = audited(before, 1)
            before += 1
            assert (CLOUD in told["text"], line["error_class"]) == (seen, "malformed" if seen else None), (told, line)
        figures[name] = f"fallback after {told['total']:.2f} s" if seen else "not seen: its first words went out"
    return figures


@drill.cell("quota")
def quota(stage: Stage) -> Figures:
    """The cloud's quota is used up: the next request is answered locally, and the cloud is left alone as it asked."""
    stage.converged()
    sonnet, local = "claude-sonnet-4-6", kinds(urls(stage))["lm-studio"]
    stage.site(settings={"gateway": {"quota_fallbacks": {sonnet: ["local"]}}}).deploy().ok()
    ask(sonnet), ask("local")
    before = len(audit())
    with fault(stage, "anthropic", "500"):
        (told,) = ask(sonnet)
    assert told["status"] == 500, f"a crash of the cloud went to the quota's fallback: {told}"
    stage.simulators.clear()
    with fault(stage, "anthropic", "429", retry_after=8, times=1):
        first, again = ask(sonnet, times=2)
    assert all(local.says in each["text"] for each in (first, again)), (first, again)
    asked = [each for each in stage.simulators.requests("anthropic") if each["path"] == "/v1/messages"]
    assert len(asked) == 1, f"the cloud was asked {len(asked)} times"
    lines = audited(before, 3)[1:]
    assert [(line["fallback"], line["error_class"]) for line in lines] == [(sonnet, "rate_limit")] * 2, lines
    started = time.monotonic()
    assert wait_until(lambda: CLOUD in ask(sonnet)[0]["text"], BACK_WITHIN, 0.5)
    back = time.monotonic() - started
    stage.site().deploy().ok()
    return {"429": f"local after {first['total']:.2f} s", "next": f"local after {again['total']:.2f} s",
            "cloud again": f"after {back:.0f} s (it asked for 8)", "500": "stays the cloud's"}  # fmt: skip


@drill.cell("claude-code")
def claude_code(stage: Stage) -> Figures:
    """Real Claude Code in the local lane, each fault met before its answer: the person gets one all the same."""
    stage.converged()
    stage.site(settings={"gateway": {"stream_timeout_seconds": STREAM_TIMEOUT}}).deploy().ok()
    kind = kinds(urls(stage))["lm-studio"]
    ask(kind.model), ask(FALLBACK)
    figures = {}
    for each in FAULTS:
        local_again(kind)
        before = len(audit())
        started = time.monotonic()
        with fault(stage, kind.server, each.kind, **each.options):
            told = looks.answer("claude-local -p 'say hello'")
            seconds = time.monotonic() - started
        assert CLOUD in told, f"{each.name}: {told}"
        wait_until(lambda: len(audit(before)) > 0, 10, 0.2)  # noqa: B023 (called at once)
        lines = audit(before)
        assert any(line["model"] == FALLBACK for line in lines), lines
        figures[each.name] = f"{seconds:.1f} s, {len(lines)} requests"
    stage.site().deploy().ok()
    return figures
