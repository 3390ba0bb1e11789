"""A real llama.cpp server with a model of random weights: what no simulator's author has thought of shows here.

`make test` runs the same requests against the simulated one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from signalbox.desired.context_readings import readings
from signalbox.facts import ModelServers
from signalbox.host.shared import context
from signalbox.settings.layers import merge
from tests.drills import backends, failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.screen import Claude
from tests.drills.stage import HOST, Stage, lab_host
from tests.good_settings import routed
from tests.lab import hosts, llama_cpp
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "real_model",
    "a real llama.cpp server",
    "Real Claude Code answered (text, context read, overflow failing over) by the real llama.cpp server, direct and "
    "through the gateway; there a raw /v1/messages request with tool_choice any yields a valid tool call.",
)

OTHER = lab_host("real")
PORT = 8091
CONTEXT = 32768
TOOLS = "--tools Bash,Read"  # with all of them its prompt is 47 000 tokens of this model's
BASH = {
    "name": "Bash",
    "description": "run a command",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string", "maxLength": 20}},
        "required": ["command"],
    },
}


def _settings(url: str) -> dict[str, Any]:
    """The fifth guide's set-up with this server in it, and the simulated cloud behind it."""
    local = {"context_length": CONTEXT, "max_output_tokens": 2048}
    real = {
        "backends": {"llama": {"url": url, "models": {"local": local}}},
        "clouds": {"anthropic": {"enabled": True}},
        "gateway": {"fallbacks": {"local": [failures.FALLBACK]}},
        "lanes": {"local": {"billed": "account"}},
    }
    return merge(backends.in_the_lab("guide5-llama-cpp"), real)


def _context(host: str, data: Mapping[str, Any]) -> int | None:
    """Return what signalbox reads on the host of the server's loaded context."""
    fact = ModelServers()
    (reading,) = readings(*routed(backends.typed(data)))
    told = looks.answer(fact.command(urls=(reading["url"],), seconds=5), host=host)
    return context.loaded(fact.process(told.splitlines()).get(reading["url"]), reading)


def _ask(host: str, url: str, words: str, **more: Any) -> dict[str, Any]:
    """Return what the host gets as claude from the server itself."""
    body = {"model": "local", "max_tokens": 1024, "messages": [{"role": "user", "content": words}], **more}
    command = f"curl -s -m 200 {url}/v1/messages -H 'content-type: application/json' --data-binary @-"
    return dict(json.loads(hosts.run(host, command, user="claude", stdin=json.dumps(body), timeout=240).stdout))


def _called(answer: Mapping[str, Any]) -> str:
    """Return what a tool call is; AssertionError when there is none with its argument."""
    calls = [block for block in answer.get("content", ()) if block["type"] == "tool_use"]
    assert calls, answer
    assert isinstance(calls[0]["input"].get("command"), str), answer
    assert answer["stop_reason"] == "tool_use", answer
    return f"{len(calls)} with its argument, stop_reason tool_use"


def _raw(host: str, url: str) -> Figures:
    """What both the real and the simulated server must do with plain requests."""
    forced = {"tools": [BASH], "tool_choice": {"type": "any"}}
    called = _called(_ask(host, url, "say hello", **forced))
    control = must_fail(lambda: _called(_ask(host, url, "say hello")), "no tools on offer")
    return {"tool_choice any": called, "control": control}


def _overflow(host: str, url: str, context: int) -> str:
    """A prompt of more tokens than there are is refused in llama.cpp's words, with both numbers."""
    error = _ask(host, url, "signal " * (context + 1000) * 4)["error"]
    assert error["type"] == "exceed_context_size_error", error
    assert error["n_ctx"] == context < error["n_prompt_tokens"], error
    return f"{error['code']}: {error['n_prompt_tokens']} of {context} tokens"


@drill.cell("simulated", fixed=True)
def simulated(stage: Stage) -> Figures:
    """The simulated llama.cpp server does with the same requests what the real one did."""
    stage.converged()
    url = failures.urls(stage)["llamacpp"]
    figures = _raw(HOST, url)
    data = _settings(url)
    assert _context(HOST, data) == 32768, "its context is not read"
    return {**figures, "context read": 32768, "overflow": _overflow(HOST, url, 32768)}


@drill.cell("tools")
def tools(stage: Stage) -> Figures:
    """A raw request with tool_choice any yields a valid tool call; its context is read, its overflow has its words."""
    stage.converged()
    lab = Lab.current()
    log = lab.state / "llama-cpp.log"
    with llama_cpp.running(lab.ipv4(1), PORT, context=CONTEXT, log=log, calls=True) as server:
        context = _context(HOST, _settings(server.url))
        assert context == CONTEXT, context
        figures = _raw(HOST, server.url)
        return {**figures, "context read": context, "overflow": _overflow(HOST, server.url, CONTEXT)}


@drill.cell("claude-code")
def claude_code(stage: Stage) -> Figures:
    """Real Claude Code, direct and through the gateway: its text, the context that it is given, and the overflow."""
    stage.up(OTHER)
    lab = Lab.current()
    figures: dict[str, object] = {}
    with llama_cpp.running(lab.ipv4(1), PORT, context=CONTEXT, log=lab.state / "llama-cpp.log") as server:
        data = _settings(server.url)
        stage.site(OTHER, settings=data).deploy().ok()
        figures["context read"] = _context(OTHER, data)
        assert figures["context read"] == CONTEXT, figures
        for way, lane in (("direct", "claude-local --private"), ("gateway", "claude-local")):
            before, asked = server.read(), len(_cloud(stage))
            told = looks.answer(f"{lane} {TOOLS} -p 'say hello' 2>/dev/null", host=OTHER, timeout=400)
            read = server.read() - before
            assert told, f"{way}: no text"
            assert "simulated" not in told, f"{way}: {told}"
            assert read > 1000, f"{way}: the server has read {read} tokens"
            assert len(_cloud(stage)) == asked, f"{way}: the cloud was asked"
            figures[way] = f"{told[:60]!r}, {read} tokens read"
        # More tokens than the server has, though Claude Code, which estimates them, thinks that it fits.
        pipe = "python3 -c 'print(\"x7Qz9 \" * 9000)' |"
        lines = len(failures.audit(host=OTHER))
        told = looks.answer(f"{pipe} claude-local {TOOLS} -p 'say hello' 2>/dev/null", host=OTHER, timeout=400)
        assert f"Hello from simulated {failures.CLOUD}" in told, f"overflow: {told}"
        last = [line for line in failures.audit(lines, host=OTHER) if line["fallback"]]
        assert last, "the audit has no fallback"
        assert last[-1]["error_class"] == "overflow", last
        figures["overflow through the gateway"] = f"{told}; audit: {last[-1]['error_class']}"

        def directly() -> None:
            said = looks.answer(f"{pipe} claude-local --private {TOOLS} -p 'say hello'", host=OTHER, timeout=400)
            assert f"Hello from simulated {failures.CLOUD}" in said, said

        figures["control"] = must_fail(directly, "the private lane: it has no cloud")
    with llama_cpp.running(lab.ipv4(1), PORT, context=CONTEXT, log=lab.state / "llama-cpp.log", calls=True):
        # Without tools on offer this model prints its call as text, which the gateway takes for no answer.
        forced = {"tools": [BASH], "tool_choice": {"type": "any"}, "max_tokens": 1024}
        calls: list[dict[str, Any]] = []

        def again() -> bool:
            before = len(failures.audit(host=OTHER))
            calls[:] = failures.ask("local", host=OTHER, stream=False, more=forced)
            (line,) = failures.audited(before, 1, host=OTHER)
            return bool(line["backend"] == "llama")

        assert wait_until(again, 60, 1), f"the server is not asked again: {calls}"
        figures["tool_choice any through the gateway"] = _called(calls[0]["body"])
    return figures


LARGE = 65536
OTHER_AGENT = json.dumps({"one": {"description": "x", "prompt": "You look things up. " * 300, "model": "haiku"}})
HEADER = "x-anthropic-billing-header: cc_version=2.1.329.{}; cc_entrypoint=cli;"  # another for each conversation
SAME = "You keep the signal box of a branch line, and write down each train. " * 200


def _with_server(url: str) -> dict[str, Any]:
    """The lab's host with this server beside its simulated ones, and a lane of each kind for its model."""
    model = {"id": "real", "context_length": LARGE, "max_output_tokens": 2048}
    slots = ("main", "opus", "sonnet", "haiku", "fable")
    own = {"models": dict.fromkeys(slots, "real"), "fallbacks": "none"}
    direct = {"via": "direct", "credential": "none", "private": True}
    routed = {**dict.fromkeys(slots, "claude-sonnet-4-6"), "haiku": "real"}
    return {
        "backends": {"llama": {"kind": "llama_cpp", "url": url, "models": {"real": model}}},
        "lanes": {
            "real": {**own, "config_dir": "~/.claude-real"},
            "real-private": {"models": own["models"], **direct, "config_dir": "~/.claude-real-private"},
            "real-routed": {"models": routed, "config_dir": "~/.claude-real-routed"},
        },
    }


def _turn(server: llama_cpp.Server, command: str, directory: str = "~/drill-inside") -> tuple[int, float]:
    """Return how many tokens a turn's prompt has, and which share of them was in the server's cache."""
    before = server.read()
    line = f"mkdir -p {directory} && cd {directory} && {command} {TOOLS} --output-format json 2>/dev/null"
    told = json.loads(looks.answer(line, timeout=400))
    usage = told["usage"]
    counted = sum(int(usage.get(name) or 0) for name in ("input_tokens", "cache_read_input_tokens"))
    return counted, 1 - (server.read() - before) / counted


def _cached(ask: Any, server: llama_cpp.Server) -> list[float]:
    """Ask in two conversations, twice in each, and return which share of each prompt was in the cache."""
    shares = []
    for number, words in enumerate(("What came at 9?", "And at ten?", "Who is late?", "And who is early?")):
        before = server.read()
        total = ask(HEADER.format(f"{number // 2}a{number}"), words)
        shares.append(round(1 - (server.read() - before) / total, 3))
    return shares


@drill.cell("prefix-cache")
def prefix_cache(stage: Stage) -> Figures:
    """A conversation is in the server's cache, whoever asks in between; background work has its common prefix there."""
    stage.converged()
    lab = Lab.current()
    figures: dict[str, object] = {}
    with llama_cpp.running(lab.ipv4(1), PORT, context=LARGE, log=lab.state / "llama-cpp.log") as server:
        stage.site(settings=_with_server(server.url)).deploy().ok()
        for lane in ("claude-real", "claude-real --private"):
            looks.answer("rm -rf ~/.claude-real*/projects")
            shares = []
            for number in range(5):
                more = "--continue" if number else ""
                shares.append(_turn(server, f"{lane} {more} -p 'say hello {number}'"))
                _turn(server, f"{lane} --agents {looks.quoted(OTHER_AGENT)} --agent one -p 'look {number}'", "~/other")
            said = ", ".join(f"{share:.1%} of {tokens}" for tokens, share in shares)
            assert all(share >= 0.95 for _, share in shares[2:]), f"{lane}: {said}"
            figures[lane] = said

        def before(header: str, words: str) -> int:
            messages = [{"role": "system", "content": f"{header}\n{SAME}"}, {"role": "user", "content": words}]
            body = {"model": "real", "max_tokens": 8, "messages": messages}
            answer = requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=200).json()
            return int(answer["usage"]["prompt_tokens"])

        def through_the_gateway(header: str, words: str) -> int:
            system = [{"type": "text", "text": header}, {"type": "text", "text": SAME}]
            (told,) = failures.ask("real", words, stream=False, max_tokens=8, more={"system": system}, patience=200)
            usage = told["body"]["usage"]
            return int(usage["input_tokens"] + (usage.get("cache_read_input_tokens") or 0))

        figures["background, header kept"] = was = _cached(before, server)
        figures["background, routed"] = now = _cached(through_the_gateway, server)
        assert min(now[1:]) >= 0.95 > was[2], f"{was}, {now}"
        routed = f"claude-real-routed --agents {looks.quoted(OTHER_AGENT)} --agent one -p"
        first, second = (_turn(server, f"{routed} '{words}'", "~/other") for words in ("one thing", "another one"))
        figures["Claude Code's own"] = f"{first[1]:.1%} of {first[0]}, then {second[1]:.1%} of {second[0]}"
        assert second[1] >= 0.95, figures
    stage.site().deploy().ok()
    return figures


def _cloud(stage: Stage) -> list[dict[str, Any]]:
    return [each for each in stage.simulators.requests("anthropic") if each["method"] == "POST"]


LEAN_BYTES, LEAN_TOKENS = 48 << 10, 12000  # of a first request at the most


def _opening(stage: Stage) -> dict[str, Any]:
    """Return the first request of a session at a terminal in the local lane."""
    stage.simulators.clear()
    with Claude("claude-local") as session:
        session.ask("say hello", "Hello from simulated LM Studio")
    return looks.opening(stage, "lmstudio")


@drill.cell("opening")
def opening(stage: Stage) -> Figures:
    """A session's first request, lean and full: its bytes, its tokens in SmolLM2's vocabulary, and seconds to read it.

    It is read by the real server with a model of random weights, with 65536 tokens.
    """
    site = stage.converged()
    bodies = {"lean": _opening(stage)}
    stage.site(settings={"lanes": {"local": {"prompt": "full"}}}).deploy().ok()
    try:
        bodies["full"] = _opening(stage)
    finally:
        site.deploy().ok()
    lab = Lab.current()
    log = lab.state / "llama-cpp.log"
    with llama_cpp.running(lab.ipv4(1), PORT, context=512, log=log, weights=llama_cpp.vocabulary()) as server:
        tokens = {name: server.tokens(body) for name, body in bodies.items()}
    figures: dict[str, object] = {}
    for name, body in bodies.items():
        with llama_cpp.running(lab.ipv4(1), PORT, context=65536, log=log) as server:  # anew: nothing of it is cached
            read, seconds = server.prefill(body)
        sizes = f"{len(json.dumps(body).encode())} bytes, {len(body['tools'])} tools, {tokens[name]} tokens"
        figures[name] = f"{sizes}; {read} of the random model's read in {seconds:.1f} s"

    def small(name: str) -> None:
        assert len(json.dumps(bodies[name]).encode()) <= LEAN_BYTES, figures[name]
        assert tokens[name] <= LEAN_TOKENS, figures[name]

    small("lean")
    return {**figures, "control": must_fail(lambda: small("full"), 'prompt = "full"')}
