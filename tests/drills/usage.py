"""Usage: what the audit adds up to agrees with what the model servers counted."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from tests.drills import failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab.machine import wait_until

drill = Drill(
    "usage",
    "tokens and cost agree with what the servers counted",
    "Usage agrees with what the simulators counted over 500 mixed requests, cut streams, retries, failovers, cached "
    "tokens and missing usage blocks (marked estimated) among them.",
)

SERVER = {"lmstudio": "lmstudio", "anthropic": "anthropic"}  # record: simulator
PATHS = ("/v1/chat/completions", "/v1/messages")
OTHER = lab_host("use")  # a second host, for the fleet
LANE, MARK = "usage", "(usage)"  # of this drill's own requests
COUNTS = ("input_tokens", "output_tokens", "cached_tokens")
LONG = {"system": [{"type": "text", "text": "signal " * 3000, "cache_control": {"type": "ephemeral"}}]}
# What 1000000 tokens cost, in and out, by the clouds' own lists: what LiteLLM 1.108.10 calculates with.
PRICES = {"claude-haiku-4-5": (1.0, 5.0), "claude-sonnet-4-6": (3.0, 15.0)}
WRITTEN, READ = 1.25, 0.1  # what a token costs that the prompt cache takes, or gives, against one that is read anew
CELLS = (("local", "say hello"), ("claude-sonnet-4-6", "count to 20"), ("claude-haiku-4-5", "say hello"))


def _usage() -> dict[str, dict[str, Any]]:
    """Return what claude-usage tells of the drill's lane, by backend."""
    rows = json.loads(looks.answer("claude-usage --json"))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["lane"] == LANE:
            total = found.setdefault(
                str(row["backend"]), dict.fromkeys((*COUNTS, "requests", "estimated", "failed"), 0)
            )
            for name in total:
                total[name] += row[name]
    return found


def _counted(stage: Stage, server: str) -> dict[str, Any]:
    """Return what a server has counted of the answers that it gave whole."""
    whole = [
        each
        for each in stage.simulators.requests(server)
        if each["path"] in PATHS and each["complete"] and each["usage"] and each["status"] == 200
        # Not those of others, and not what was asked of the fallback instead: it bills nobody.
        and MARK in str(each["body"]) and each["fault"] != "garble"
    ]  # fmt: skip
    told = [each for each in whole if each["fault"] != "uncounted"]
    counts = {name: sum(each["usage"][name.removesuffix("_tokens")] for each in told) for name in COUNTS}
    cost = sum(map(_cost, told)) if server == "anthropic" else 0
    return {**counts, "requests": len(whole), "estimated": len(whole) - len(told), "cost": cost}


def _cost(request: dict[str, Any]) -> float:
    """Return what a request costs by the cloud's own list."""
    usage = request["usage"]
    read, said = PRICES[request["model"]]
    new = usage["input"] - usage["written"]
    return float(((new + WRITTEN * usage["written"] + READ * usage["cached"]) * read + usage["output"] * said) / 1e6)


def _agrees(stage: Stage, before: dict[str, dict[str, Any]], lines: list[dict[str, Any]]) -> Figures:
    """The audit's lines and claude-usage say what the servers say; AssertionError otherwise."""
    after, figures = _usage(), {}
    for record, server in SERVER.items():
        counted = _counted(stage, server)
        exact = [
            line for line in lines if line["backend"] == record and line["status"] == 200 and not line["estimated"]
        ]
        guessed = [line for line in lines if line["backend"] == record and line["estimated"]]
        for name in COUNTS:
            seen = sum(line[name] for line in exact)
            assert seen == counted[name], f"{record}: {seen} {name} in the audit, {counted[name]} counted by the server"
        assert len(exact) == counted["requests"] - counted["estimated"], (len(exact), counted)
        grown = {name: after[record][name] - before.get(record, {}).get(name, 0) for name in (*COUNTS, "estimated")}
        every = {name: sum(line[name] for line in exact + guessed) for name in COUNTS}
        assert grown == {**every, "estimated": len(guessed)}, (
            f"{record}: claude-usage grew by {grown}, lines say {every}"
        )
        cost = sum(line["cost_usd"] for line in exact)
        assert abs(cost - counted["cost"]) < 1e-6, f"{record}: {cost} in the audit, {counted['cost']} by the server"
        same = (
            f"{counted['input_tokens']} tokens in, {counted['cached_tokens']} cached and {counted['output_tokens']} out"
        )
        same += f" in {len(exact)} requests"
        figures[record] = f"{same}, as the server counted; {len(guessed)} estimated"
    return figures


def _mixed(stage: Stage, times: int, faults: bool) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Ask a mixture; return claude-usage before it and the audit's lines of it."""
    local = failures.kinds(failures.urls(stage))["lm_studio"]
    failures.local_again(local)  # a server that a drill before this one broke may still rest
    before, started, count = _usage(), len(failures.audit()), 0

    def ask(model: str, text: str, number: int, **more: Any) -> None:
        nonlocal count
        failures.ask(model, f"{text} {MARK}", times=number, at_once=4, lane=LANE, **more)
        count += number

    for stream in (True, False):
        for model, text in CELLS:
            ask(model, text, times, stream=stream)
        ask("claude-sonnet-4-6", "say hello", times, stream=stream, more=LONG)
    if faults:
        for server, kind, options in (
            ("lmstudio", "500", {}),
            ("lmstudio", "cut", {"after_chunks": 3}),
            ("lmstudio", "cut", {"after_chunks": 1}),
            ("lmstudio", "uncounted", {}),
            ("lmstudio", "garble", {"text": "<unused24>"}),
            ("lmstudio", "drop", {}),
            ("anthropic", "uncounted", {}),
            ("anthropic", "cut", {"after_chunks": 3}),
            ("anthropic", "529", {"times": 3}),
        ):
            failures.local_again(local)
            with failures.fault(stage, server, kind, **options):
                ask("local" if server == "lmstudio" else "claude-haiku-4-5", "say hello", times)
        stage.site(settings={"gateway": {"retries": 1}}).deploy().ok()
        failures.ask("claude-haiku-4-5"), failures.local_again(local)
        for _ in range(times // 4):
            with failures.fault(stage, "anthropic", "529", times=1):
                ask("claude-haiku-4-5", "say hello again", 1)
        asked = [each for each in stage.simulators.requests("anthropic") if "again" in str(each["body"])]
        assert len(asked) == times // 4 * 2, f"{len(asked)} requests for {times // 4}: they were not asked again"
        stage.site().deploy().ok()
    wait_until(lambda: len(_lines(started)) >= count, 10, 0.2)
    lines = _lines(started)
    assert len(lines) == count, f"{count} requests, and the audit has {len(lines)} lines"
    return before, lines


def _lines(after: int) -> list[dict[str, Any]]:
    return [line for line in failures.audit(after) if line["lane"] == LANE]


@drill.cell("quick", fixed=True)
def quick(stage: Stage) -> Figures:
    """A few requests of each kind, streamed and whole: the audit, claude-usage and the servers agree."""
    stage.converged()
    before, lines = _mixed(stage, 2, faults=False)
    figures = _agrees(stage, before, lines)
    lost = must_fail(lambda: _agrees(stage, before, lines[1:]), "one line of the audit lost")
    return {**figures, "control": lost}


@drill.cell("mixed")
def mixed(stage: Stage) -> Figures:
    """500 mixed requests, failovers, cut streams, retries, cached tokens, garbled and uncounted answers among them."""
    stage.converged()
    before, lines = _mixed(stage, 30, faults=True)
    figures = _agrees(stage, before, lines)
    over = sum(bool(line["fallback"]) for line in lines)
    broken = sum(line["error_class"] in ("cut", "stream_error") for line in lines)
    assert len(lines) >= 500, len(lines)
    return {"requests": f"{len(lines)}, {over} failed over, {broken} broke off", **figures}


@drill.cell("clients")
def clients(stage: Stage) -> Figures:
    """A client with a key of its own: its models alone, so many requests a minute and at once; the audit names it."""
    stage.converged()
    key = f"sk-{secrets.token_hex(16)}"
    limits = {"requests_per_minute": 6, "tokens_per_minute": None, "parallel": 2}
    editor = {"secret": "EDITOR_KEY", "models": ["local"], **limits}
    site = stage.site(settings={"gateway": {"clients": {"editor": editor}}}, environment={"EDITOR_KEY": key})
    site.deploy().ok()
    failures.ask("local"), failures.ask("claude-haiku-4-5")
    before = len(failures.audit())

    def statuses(model: str, times: int, at_once: int = 1) -> list[int]:
        return [told["status"] for told in failures.ask(model, own_key=key, times=times, at_once=at_once)]

    assert statuses("claude-haiku-4-5", 1) == [403], "it may ask another model"
    with failures.fault(stage, "lmstudio", "500"):
        assert statuses("local", 1) == [500], "a fallback answered that it may not ask"
    failures.local_again(failures.kinds(failures.urls(stage))["lm_studio"])
    time.sleep(61)  # the limits of this minute begin anew
    with failures.fault(stage, "lmstudio", "hang", seconds=3):
        at_once = sorted(statuses("local", 4, at_once=4))
    assert at_once == [200, 200, 429, 429], at_once
    time.sleep(61)
    minute = statuses("local", 8)
    assert minute == [200] * 6 + [429] * 2, minute
    assert all(told["status"] == 200 for told in failures.ask("local", times=8)), "the gateway's own key is limited"
    wait_until(lambda: sum(line["client"] == "editor" for line in failures.audit(before)) >= 14, 10, 0.2)
    lines = [line for line in failures.audit(before) if line["client"] == "editor"]
    assert {line["status"] for line in lines} >= {200, 403, 429, 500}, lines
    assert key not in looks.answer(f"cat {failures.AUDIT}"), "its key is in the audit"

    def unknown() -> None:
        (told,) = failures.ask("local", own_key=f"{key}x")
        assert told["status"] == 200, told

    control = must_fail(unknown, "a key that nobody has")
    stage.site().deploy().ok()
    assert statuses("local", 1) != [200], "the key is still taken"
    return {"another model": "403", "4 at once": "2 answered", "8 in a minute": "6 answered",
            "taken back": "by the deploy that leaves it out", "control": control}  # fmt: skip


@drill.cell("fleet")
def fleet(stage: Stage) -> Figures:
    """Two hosts: `signalbox usage` tells of each what claude-usage tells there, and their sum."""
    counts = {}
    for host in (HOST, OTHER):
        stage.converged(host)
        told = looks.answer("claude-local -p 'say hello'", host=host)
        assert "Hello from simulated LM Studio" in told, told
    done = stage.site(HOST, OTHER).signalbox("usage", "--json").ok()
    for each in done.answer["hosts"]:
        own = json.loads(looks.answer("claude-usage --json", host=each["host"]))
        assert each["rows"] == own, f"{each['host']}: {each['rows']} is not {own}"
        counts[each["host"]] = _requests(own)
    assert set(counts) == {HOST, OTHER}, counts

    def together(*hosts: str) -> None:
        total = sum(counts[host] for host in hosts)
        assert _requests(done.answer["rows"]) == total, f"{_requests(done.answer['rows'])} requests, not {total}"

    together(HOST, OTHER)
    return {
        "requests": " and ".join(map(str, counts.values())),
        "together": _requests(done.answer["rows"]),
        "control": must_fail(lambda: together(HOST), "one host left out"),
    }


def _requests(rows: list[dict[str, Any]]) -> int:
    return sum(row["requests"] for row in rows)
