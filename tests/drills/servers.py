"""Model servers as people have them: what public reports say of them, and who answers, who pays, what is told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from signalbox.settings.layers import merge
from tests.drills import looks, server_behaviours, server_ways, strict_servers
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failover import every_kind
from tests.drills.failures import Kind, ask, audit, audited, fault, kinds, options, settings, urls
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "servers",
    "model servers as people have them",
    "Each behaviour that public reports describe, on each kind of server, through the gateway, directly and in a "
    "private lane: who answered, what was billed, what was told. Nothing is billed that the server itself could have "
    "answered, and nothing ends well with the work undone.",
)
drill.rows = server_ways.publish

SEND = {"name": "mcp__mail__send", "description": "Send a mail.", "input_schema": server_behaviours.SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
# As public reports have them of gpt-oss, DeepSeek, Mistral, Seed, MiniMax and models that were taught Claude's own.
LEFTOVERS = (
    "<|channel|>commentary to=functions.Bash <|constrain|>json<|message|>{}",
    "analysisWe need the tool.assistantcommentary to=functions.Bash json{}",
    "<\uff5cDSML\uff5ctool_calls>",
    "<\uff5ctool\u2581calls\u2581begin\uff5c>",
    'Bash[ARGS]{"command": "ls"}',
    '<invoke name="Bash">',
    "<function_calls>",
    "<seed:tool_call>",
    "<minimax:tool_call>",
    "<|im_start|>assistant",
    '[{"name": "Bash", "arguments": {"command": "ls"}}]',
    "```tool_code\nprint(1)\n```",
)
THOUGHT = "<think>I must look.</think><tool_call>{}</tool_call>"  # as text, or what LiteLLM makes a thought of
SEEN = "curl -s http://127.0.0.1:4000/signalbox/servers"
HEADER = "x-anthropic-billing-header: cc_version=2.1.329.23d; cc_entrypoint=cli;"


def _all(stage: Stage) -> dict[str, Kind]:
    """Return every kind, on a host in whose lane `local` nobody follows; in others, a cloud's model."""
    every = every_kind(stage)
    alone = {"lanes": {"local": {"fallbacks": "none"}}}
    stage.site(settings=merge(settings(every), alone)).deploy().ok()
    return every


def _arrived(stage: Stage, kind: Kind) -> list[dict[str, Any]]:
    """Return the bodies of the questions that came to the server of this kind."""
    return [each["body"] for each in stage.simulators.requests(kind.server) if (each.get("body") or {}).get("messages")]


@drill.cell("schemas", fixed=True)
def schemas(stage: Stage) -> Figures:
    """A tool's schema of which the server can make no grammar costs nobody anything: the local server answers."""
    stage.converged()
    return _schemas(stage, {"lm_studio": kinds(urls(stage))["lm_studio"]})


@drill.cell("schemas-kinds")
def schemas_of_kinds(stage: Stage) -> Figures:
    """The same, on each kind of server."""
    return _schemas(stage, every_kind(stage))


def _schemas(stage: Stage, every: Mapping[str, Kind]) -> Figures:
    figures: Figures = {}
    for name, kind in every.items():
        with options(stage, kind.server, habit="grammar"):
            before = len(audit())
            (told,) = ask(kind.model, more={"tools": [SEND]})
            (line,) = audited(before, 1, kind.model)
            assert kind.says in told["text"], f"{name}: {told}, {line}"
            assert (line["error_class"], line["cost_usd"], line["mended"]) == (None, 0.0, ["schemas"]), (
                f"{name}: {line}"
            )
        figures[name] = f"{kind.says} answers, audit: {', '.join(line['mended'])}"

    def taken() -> None:
        tool = {"type": "function", "function": {"name": "send", "parameters": server_behaviours.SCHEMA}}
        body = {"model": "devstral", "messages": [{"role": "user", "content": "hello"}], "tools": [tool]}
        answer = requests.post(f"{urls(stage)['vllm']}/v1/chat/completions", json=body, timeout=10)
        assert answer.status_code == 200, answer.text[:200]  # of the simulator itself, past the gateway

    with options(stage, "vllm", habit="grammar"):
        return {**figures, "control": must_fail(taken, "the schema as it is")}


@drill.cell("header")
def header(stage: Stage) -> Figures:
    """What differs in each conversation does not begin the prompt of a local server, whose cache would be lost."""
    system = [{"type": "text", "text": HEADER}, {"type": "text", "text": "You are terse."}]
    figures: Figures = {}
    for name, kind in every_kind(stage).items():
        ask(kind.model, more={"system": system})
        arrived = str(_arrived(stage, kind)[-1])
        assert "You are terse." in arrived, arrived
        assert "x-anthropic-billing-header" not in arrived, arrived
        figures[name] = "the prompt begins with its own words"
    return figures


@drill.cell("leftovers")
def leftovers(stage: Stage) -> Figures:
    """What a server prints in place of a call is no answer: the fallback gives one, or the person reads why not."""
    every = _all(stage)
    alone = every["vllm"]
    figures: Figures = {}
    for text in LEFTOVERS:
        for name, kind in every.items():
            with fault(stage, kind.server, "garble", text=text):
                before = len(audit())
                (told,) = ask(kind.model, tools=True)
                (line,) = audited(before, 1, kind.model)
            assert (line["fallback"], line["error_class"]) == (kind.model, "malformed"), f"{name}, {text}: {line}"
            assert text not in told["text"], f"{name}, {text}: {told}"
        with fault(stage, alone.server, "garble", text=text):
            (told,) = ask(alone.model, tools=True, lane="local")
        assert told["status"] == 400, told
        assert "printed as text" in str(told["error"]), told
    for name, kind in every.items():
        with fault(stage, kind.server, "garble", text=THOUGHT):
            before = len(audit())
            first, again = ask(kind.model, tools=True, times=2)
            line, after = audited(before, 2, kind.model)
        if name == "ollama":  # LiteLLM takes the thought's ends out of the text, and it begins like an answer
            figures[f"{name}, after a thought"] = f"not seen: {first['text'][:60]!r}"
            continue
        assert line["error_class"] == "malformed", f"{name}, {THOUGHT}: {line}"
        assert "tool_call" not in first["text"], f"{name}: {first}"
        told = again if first["error"] else first  # a thought had gone out: the client asks again
        assert told["text"], f"{name}: {first}, {again}"
        assert after["model"] != kind.model, f"{name}: {after}"
        figures[f"{name}, after a thought"] = "an error, then the fallback" if first["error"] else "the fallback"
    figures["kinds x texts"] = f"{len(every)} x {len(LEFTOVERS)}, each answered by the fallback"
    with fault(stage, alone.server, "garble", text="Bash is a shell."):
        (told,) = ask(alone.model, tools=True)
    return {**figures, "control": f"{told['text']!r} goes out as it is"}


@drill.cell("web-search")
def web_search(stage: Stage) -> Figures:
    """No local model makes up what the web says: a Claude searches, or the person reads that nobody can."""
    kind = _all(stage)["lm_studio"]
    before = len(audit())
    ask(kind.model, more={"tools": [SEARCH]})
    (line,) = audited(before, 1, kind.model)
    assert (line["fallback"], line["error_class"]) == (kind.model, "bad_request"), line
    (told,) = ask(kind.model, more={"tools": [SEARCH]}, lane="local")
    assert told["status"] == 400, told
    assert "cannot search the web" in str(told["error"]), told
    return {"with a fallback": f"{line['model']} answers", "alone": str(told["error"])[:120]}


@drill.cell("cut-prompts")
def cut_prompts(stage: Stage) -> Figures:
    """A prompt that Ollama would cut without a word is not answered as if nothing were: the fallback gets it."""
    kind = _all(stage)["ollama"]
    sentence, copies = "The signal shows proceed, and the points are set. ", 3200  # some 32000 tokens
    figures: Figures = {}
    with options(stage, kind.server, habit="cuts prompts"):
        before = len(audit())
        (told,) = ask(kind.model, sentence, copies=copies)
        (line,) = audited(before, 1, kind.model)
        assert (line["fallback"], line["error_class"]) == (kind.model, "overflow"), f"{told}, {line}"
        figures["with a fallback"] = f"{line['model']} answers {line['input_tokens']} tokens"
        (told,) = ask(kind.model, sentence, copies=copies, lane="local")
        assert told["status"] == 400, told
        assert "prompt is too long: about" in str(told["error"]), told
        figures["alone"] = str(told["error"])[:120]
        (told,) = ask(kind.model, sentence, copies=copies // 2)
        assert kind.says in told["text"], told
        long = {"role": "user", "content": sentence * copies}
        body = {"model": "gemma4:26b-a4b", "max_tokens": 9, "messages": [long]}
        answer = requests.post(f"{urls(stage)['ollama']}/v1/messages", json=body, timeout=10).json()
        read = answer["usage"]["input_tokens"]
        assert read < 10000, answer
    return {**figures, "control": f"the server itself answers, and has read {read} tokens"}


@drill.cell("busy")
def busy(stage: Stage) -> Figures:
    """A server that is slow to tell what it has, because it computes for us, is asked all the same."""
    kind = every_kind(stage)["lm_studio"]
    before = len(audit())
    with fault(stage, kind.server, "hang", seconds=4.0), ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, kind.model)
        time.sleep(1.5)
        with fault(stage, kind.server, "hang", path="*models*", seconds=3.0):
            (second,) = ask(kind.model)
        answers = [*first.result(), second]
    lines = audited(before, 2, kind.model)
    assert all(kind.says in told["text"] for told in answers), f"{answers}, {lines}"
    return {"two at once, the server slow": "both answered by it"}


@drill.cell("named")
def named(stage: Stage) -> Figures:
    """A server whose name stands in the host's own /etc/hosts is reached from the gateway's container too."""
    stage.converged()
    address, _, port = urls(stage)["lmstudio"].removeprefix("http://").partition(":")
    hosts.run(HOST, f"echo '{address} studio.lan # drill' >> /etc/hosts")
    site = stage.site(settings={"backends": {"lmstudio": {"url": f"http://studio.lan:{port}"}}})
    try:
        site.deploy().ok()
        before = len(audit())
        (told,) = ask(words="LM Studio", seconds=30)
        (line, *_) = audited(before, 1)
        assert "LM Studio" in told["text"], f"{told}, {line}"
    finally:
        hosts.run(HOST, "sed '/# drill$/d' /etc/hosts > /tmp/hosts && cat /tmp/hosts > /etc/hosts")

    def still_known() -> None:
        hosts.run(HOST, "systemctl --user --machine=litellm@.host restart litellm.service")
        (told,) = ask()
        assert "LM Studio" in told["text"], told

    control = must_fail(still_known, "the line in /etc/hosts")
    stage.converged()
    stage.site().deploy().ok()
    return {"asked by its name": "LM Studio answers", "control": control}


@drill.cell("container")
def container(stage: Stage) -> Figures:
    """What the gateway's container does not reach is told before a deploy and at its end, with a cure; it goes on."""
    stage.converged()
    address, _, port = urls(stage)["lmstudio"].removeprefix("http://").partition(":")
    rule = f"meta skuid litellm ip daddr {address} tcp dport {port} drop"
    table = "add table ip drill; add chain ip drill out { type filter hook output priority 0; }"

    def told(more: int = 0) -> list[str]:
        """Deploy; return what is said of the server."""
        run = stage.site(settings={"gateway": {"cooldown_seconds": 20 + more}}).deploy().ok()
        return [line.strip() for line in run.stderr.splitlines() if "[backend-from-container]" in line]

    assert not told()
    hosts.run(HOST, f"nft '{table}; add rule ip drill out {rule}'")
    try:
        assert wait_until(lambda: '"lmstudio": "timeout"' in looks.answer(SEEN), 30, 1), looks.answer(SEEN)
        before, both = told(), told(1)
    finally:
        hosts.run(HOST, "nft delete table ip drill")
    assert (len(before), len(both)) == (1, 2), f"{before}, {both}"
    assert wait_until(lambda: '"lmstudio": 200' in looks.answer(SEEN), 30, 1), looks.answer(SEEN)
    assert not told()
    return {
        "a deploy that changes nothing": before[0],
        "at the end of one that does": both[1],
        "control": "without the rule nothing is said",
    }


@drill.cell("strict-sessions")
def strict_sessions(stage: Stage) -> Figures:
    """A tool call, a subagent, /compact and what follows, at a terminal, straight to a strict server of each kind"""
    every = _with_lanes(stage)
    figures: Figures = {
        f"{every[kind].server}, {way}": strict_servers.session(stage, every[kind], way)
        for kind in strict_servers.KINDS
        for way in strict_servers.WAYS
    }
    roles = next(each for each in server_behaviours.BEHAVIOURS if each.name == "roles")
    return {**figures, "control": server_ways.control(stage, roles, every["llama_cpp"])}


def _with_lanes(stage: Stage) -> dict[str, Kind]:
    """Return every kind, on a host that has a lane for each way to it."""
    every = kinds(urls(stage)) if stage.converged() else {}
    stage.site(settings=merge(settings(every), {"lanes": server_ways.lanes(every)})).deploy().ok()
    server_ways.prepare()
    return every


def _of_ways(behaviour: server_behaviours.Behaviour) -> None:
    """Register the cell of a behaviour in all ways and forms."""

    def body(stage: Stage) -> Figures:
        every = _with_lanes(stage)
        rows = list(server_ways.played(stage, behaviour, every))
        server_ways.keep(behaviour.name, rows)
        done = Counter(row["by"] for row in rows)
        figures = {"rows": len(rows), **{f"by {who}": count for who, count in sorted(done.items())}}
        return {**figures, "control": server_ways.control(stage, behaviour, every[behaviour.kinds[0]])}

    body.__doc__ = behaviour.shows
    drill.cell(f"ways-{behaviour.name}")(body)


for _each in server_behaviours.BEHAVIOURS:
    _of_ways(_each)
