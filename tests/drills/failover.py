"""Who answers when a model server fails, and how soon: kinds of servers and faults are data (failures.py)."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.drills import looks, record
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failures import (
    BACK_WITHIN,
    CLOUD,
    FALLBACK,
    FAULTS,
    OFF,
    STREAM_TIMEOUT,
    Fault,
    Kind,
    ask,
    audit,
    audited,
    broken,
    fault,
    kinds,
    loaded_with,
    loading,
    local_again,
    off,
    settings,
    unloaded,
    urls,
)
from tests.drills.screen import Claude
from tests.drills.stage import HOST, Stage
from tests.drills.swap import said as said_by_gateway
from tests.lab import hosts
from tests.lab.machine import wait_until, write
from tests.lab.simulators.server import CUT_DELAY

drill = Drill(
    "failover",
    "who answers when a model server fails",
    "Local backend kinds x faults, raw streaming requests and real Claude Code: who answered, time to first byte, "
    "total, what the audit says. Answered by the fallback within 150 ms of the fault being visible, but for hang and "
    "stall (the set timeout), cut mid-stream (a well-formed error) and host off (at most 3 s once). Back to local "
    "within 30 s of recovery. The rows: [failover_rows.md](failover_rows.md).",
)

CONNECT_CLOUD = 5.0  # seconds to connect to a cloud
FAST = 0.15  # seconds that a failover may take once the fault shows, beside what the fallback takes by itself
GONE = 3.0  # seconds that a host which is off may cost once
BACK = 30.0  # seconds from the recovery to the local server's next answer
TELL = {"401", "429", "500", "503", "overflow"}  # faults that a server tells of

Rows = list[dict[str, Any]]


def every_kind(stage: Stage) -> dict[str, Kind]:
    """Return all kinds, on a host whose gateway has them all and is warm."""
    stage.converged()
    every = kinds(urls(stage))
    stage.site(settings=settings(every)).deploy().ok()
    for kind in every.values():
        local_again(kind)
    ask(FALLBACK)  # the first request of a gateway loads what it needs
    return every


def raw(stage: Stage, name: str, kind: Kind, each: Fault, alone: float) -> dict[str, Any]:
    """Break the server, ask twice, heal it; return what was seen. alone: seconds that the fallback takes by itself."""
    local_again(kind)
    before = len(audit())
    with broken(stage, kind, each):
        first, again = ask(kind.model, times=2, undisturbed=True)
        healed = time.monotonic()
    line, next_line = audited(before, 2, kind.model)
    failed = f"{name}, {each.name}: {first}, {line}; then {again}, {next_line}"
    if each.by == "local":
        assert all(kind.says in told["text"] for told in (first, again)), failed
        assert (line["fallback"], line["error_class"]) == (None, None), failed
    else:
        assert line["error_class"], failed
        assert CLOUD in again["text"], failed
        assert next_line["model"] == FALLBACK, failed
    if each.by == "fallback":
        assert CLOUD in first["text"], failed
        assert (line["asked"], line["fallback"], line["model"]) == (kind.model, kind.model, FALLBACK), failed
    if each.by == "error":
        assert all((first["error"], first["ended"])), f"the client is left without an error: {failed}"
    late = _late(each, first, again, alone)
    who = {"local": kind.says, "fallback": "fallback", "error": "an error, then the fallback"}[each.by]
    row = {"kind": name, "fault": each.name, "answered by": who, "healed": healed}
    times = {"first byte": first["first"], "whole": first["total"], "next": again["first"]}
    return row | times | {"late": late, "audit": said(line)}


def _late(each: Fault, first: dict[str, Any], again: dict[str, Any], alone: float) -> str:
    """Return what took longer than it may; "" for nothing."""
    if each.by == "local":
        return ""  # it is the local server's own time
    shows = {"off": GONE - FAST - alone, "cut": CUT_DELAY}.get(each.kind, STREAM_TIMEOUT + 0.5 if each.wait else 0.0)
    added = first["first"] - shows - alone if each.by == "fallback" else 0.0
    told = [f"the first {added:.2f} s after the fault showed"] if added > FAST else []
    if (later := again["first"] - alone) > FAST:
        told.append(f"the next {later:.2f} s")
    return ", ".join(told)


def said(line: dict[str, Any]) -> str:
    """Return what a line of the audit says of who answered, and why."""
    return ", ".join(str(line[name]) for name in ("model", "fallback", "error_class") if line[name])


def claude_code(stage: Stage, name: str, kind: Kind, each: Fault, _alone: float) -> dict[str, Any]:
    """The same with the real Claude Code: the person has an answer."""
    local_again(kind)
    before, started = len(audit()), time.monotonic()
    with broken(stage, kind, each):
        told = looks.answer(f"claude-local --model {kind.model} -p 'say hello'")
        seconds, healed = time.monotonic() - started, time.monotonic()
    by = kind.says if each.by == "local" else CLOUD
    assert by in told, f"{name}, {each.name}: {told}"

    def lines_of() -> Rows:
        return [line for line in audit(before) if line["lane"] == "local"]

    assert wait_until(lambda: bool(lines_of()), 10, 0.2), "the audit says nothing"
    lines = lines_of()
    if by == CLOUD:
        assert any(line["model"] == FALLBACK and line["status"] == 200 for line in lines), lines
    seen = " / ".join(dict.fromkeys(map(said, lines)))
    row = {"kind": name, "fault": f"{each.name}, Claude Code", "answered by": told.splitlines()[-1], "healed": healed,
           "late": ""}  # fmt: skip
    return row | {"first byte": None, "whole": seconds, "next": None, "audit": f"{len(lines)} requests: {seen}"}


def table(
    stage: Stage,
    cell: str,
    chosen: Callable[[Kind], Iterable[Fault]],
    look: Callable[[Stage, str, Kind, Fault, float], dict[str, Any]] = raw,
) -> Figures:
    """Meet each kind with each of its faults; keep the rows, and return what they come to."""
    every = every_kind(stage)
    direct = statistics.median(each["first"] for each in ask(FALLBACK, times=9))
    rows: Rows = []
    for group in zip(*(tuple(chosen(kind)) for kind in every.values()), strict=True):
        met, waits = [], []
        with ThreadPoolExecutor() as pool:  # they rest side by side
            for (name, kind), each in zip(every.items(), group, strict=True):
                met.append(look(stage, name, kind, each, direct))
                waits.append(pool.submit(local_again, kind, since=met[-1].pop("healed")))
        rows += [row | {"back": wait.result()} for row, wait in zip(met, waits, strict=True)]
    keep(cell, rows)
    late = [f"{row['kind']}, {row['fault']}: {row['late']}" for row in rows if row["late"]]
    assert not late, f"{len(late)} of {len(rows)} rows are late ({direct:.2f} s by itself): {'; '.join(late)}"
    back = max(row["back"] for row in rows)
    assert back < BACK, f"back after {back:.0f} s: {max(rows, key=lambda row: row['back'])}"
    later = sorted(row["next"] for row in rows if row["next"] is not None and "fallback" in row["answered by"])
    figures = {"rows": len(rows), "the cloud alone": f"{direct:.2f} s", "back within": f"{back:.0f} s"}
    at_once = sorted(
        row["first byte"] - direct - (CUT_DELAY if row["fault"].startswith("cut") else 0)
        for row in rows
        if row["first byte"] is not None and row["answered by"] == "fallback" and row["first byte"] < 1
    )
    if at_once:
        figures["added to it"] = f"{statistics.median(at_once):.2f} s, at most {at_once[-1]:.2f} s"
    if later:
        figures["the next request"] = f"{statistics.median(later):.2f} s, at most {later[-1]:.2f} s"
    return figures


@drill.cell("told")
def told(stage: Stage) -> Figures:
    """Errors that a server tells of, in its own words: 401, 429, 500, 503, overflow, loading, model unloaded."""
    return table(
        stage, "told", lambda kind: [*(each for each in FAULTS if each.kind in TELL), loading(kind), unloaded(kind)]
    )


@drill.cell("gone")
def gone(stage: Stage) -> Figures:
    """Connections that fail: refused, dropped, cut, host off."""
    return table(stage, "gone", lambda _: [*(each for each in FAULTS if each.kind in ("refuse", "drop", "cut")), OFF])


@drill.cell("silent")
def silent(stage: Stage) -> Figures:
    """Answers that do not come, or stop: hang and stall."""
    return table(stage, "silent", lambda _: [each for each in FAULTS if each.kind in ("hang", "stall")])


@drill.cell("claude-code")
def with_claude_code(stage: Stage) -> Figures:
    """Real Claude Code with each kind: the person gets an answer all the same."""
    names = ("refused", "500", "overflow", "cut mid-stream", "hang")
    return table(
        stage, "claude-code", lambda _: [each for each in FAULTS if each.name in names] + [OFF], look=claude_code
    )


@drill.cell("claude-code-2")
def with_claude_code_2(stage: Stage) -> Figures:
    """Real Claude Code with each kind, the other faults: 401, 429, 503, drop, cut and stall, loading, unloaded."""
    names = (
        "401",
        "429",
        "503",
        "drop",
        "cut before the first word",
        "stall before the first word",
        "stall mid-stream",
    )

    def faults(kind: Kind) -> Iterable[Fault]:
        return [*(each for each in FAULTS if each.name in names), loading(kind), unloaded(kind, claude_code=True)]

    return table(stage, "claude-code-2", faults, look=claude_code)


def keep(cell: str, rows: Rows) -> None:
    """Keep the rows of this cell."""
    write(_rows(cell), json.dumps(rows))


def publish() -> None:
    """Write the page of all rows: those of cells that have run here, the others as they were."""
    path = record.DOCS / "failover_rows.md"
    rows = record.sections(path)
    for cell in ROWS:
        if _rows(cell).exists():
            kept = json.loads(_rows(cell).read_text())
            rows[cell] = [record.row(_values(each)) for each in sorted(kept, key=lambda each: each["kind"])]
    head = [
        "# failover: the rows",
        "",
        f"Seconds. The set timeout (`stream_timeout_seconds`) is {STREAM_TIMEOUT} here; all else is as shipped. The "
        "cloud's own time is in all of them, and so is that of the simulated server until a cut shows "
        f"({CUT_DELAY:.1f} s). *next*: the first byte of the next request, while the fault lasts (until "
        "2026-11-27 its whole answer). Timed requests are alone at the gateway (since 2026-11-28). *audit*: the "
        "model that answered, the one that failed, and why. "
        "*back*: from the recovery to the local server's next answer, "
        "looked at every half second. When and with which commit: [failover.md](failover.md).",
    ]
    columns = "kind | fault | answered by | first byte | whole | next | audit | back"
    record.write_sections(path, head, {cell: (columns, rows[cell]) for cell in ROWS if cell in rows})


def _values(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = [f"{row[name]:.2f}" if row[name] is not None else "" for name in ("first byte", "whole", "next")]
    return row["kind"], row["fault"], row["answered by"], *numbers, row["audit"], f"{row['back']:.0f}"


def _rows(cell: str) -> Any:
    return record.STATE / "failover" / f"rows-{cell}.json"


ROWS = ("told", "gone", "silent", "claude-code", "claude-code-2")  # the cells that keep some
drill.rows = publish


@drill.cell("quick", fixed=True)
def quick(stage: Stage) -> Figures:
    """A crash, a refused connection and an answer that is none: the fallback answers, and the audit says why."""
    stage.converged()
    kind = kinds(urls(stage))["lm_studio"]
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
    kind = kinds(urls(stage))["lm_studio"]
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


@drill.cell("lane")
def lane(stage: Stage) -> Figures:
    """A lane says what may follow: in claude-cloud no local model answers, whatever the gateway's fallbacks tell."""
    stage.converged()
    sonnet = "claude-sonnet-4-6"
    wide = {"lmstudio": {"models": {"local": {"context_length": 65536}}}}  # as a cloud lane's session needs it
    lists = {"fallbacks": {sonnet: ["local"]}, "quota_fallbacks": {sonnet: ["local"]}}
    stage.site(settings={"gateway": lists, "backends": wide}).deploy().ok()
    ask(sonnet), ask("local")

    def local_requests(lane: str) -> int:
        stage.simulators.clear()
        with (
            loaded_with(stage, kinds(urls(stage))["lm_studio"], 65536),
            fault(stage, "anthropic", "429", retry_after=1),
        ):
            told = hosts.run(
                HOST, f"CLAUDE_CODE_MAX_RETRIES=0 timeout 100 claude-{lane} -p 'say hello'", user="claude", check=False
            )
        assert told.stdout.strip(), f"claude-{lane} says nothing: {told.stderr}"
        said = told.stdout.strip().splitlines()[-1]
        asked = len(looks.chats(stage, "lmstudio"))
        assert ("simulated LM Studio" in said) == bool(asked), f"claude-{lane}: {said}, {asked} local requests"
        figures[f"claude-{lane}"] = f"{said[:80]}; {asked} local requests"
        return asked

    figures: dict[str, str] = {}
    assert local_requests("cloud") == 0, figures

    def another() -> None:
        assert local_requests("routed") == 0, figures

    control = must_fail(another, "a lane without that rule")
    stage.site().deploy().ok()
    return {**figures, "control": control}


@drill.cell("clouds")
def clouds(stage: Stage) -> Figures:
    """A cloud fails and another cloud answers: 500, 429, 529, refused, hang, and packets that are dropped."""
    stage.converged()
    sonnet, other = "claude-sonnet-4-6", "foundry-claude-sonnet-4-6"
    foundry = {"enabled": True, "url": urls(stage)["foundry"], "resource": None, "models": {other: {"id": sonnet}}}
    gateway = {"fallbacks": {sonnet: [other]}, "stream_timeout_seconds": STREAM_TIMEOUT, "cooldown_seconds": 2}
    stage.site(settings={"clouds": {"foundry": foundry}, "gateway": gateway}).deploy().ok()
    ask(other), ask(sonnet)
    figures = {}
    for name, given, options, bound in (
        ("500", "500", {}, 1.0),
        ("429", "429", {"retry_after": 1}, 1.0),
        ("529", "529", {}, 1.0),
        ("refused", "refuse", {}, 1.0),
        ("hang", "hang", {}, STREAM_TIMEOUT + 2.0),
        ("packets dropped", "off", {}, CONNECT_CLOUD + 2.0),
    ):
        before = len(audit())
        with off(urls(stage)["anthropic"]) if given == "off" else fault(stage, "anthropic", given, **options):
            first, again = ask(sonnet, times=2)
        lines = audited(before, 2, sonnet)
        for told, line in zip((first, again), lines, strict=True):
            assert "simulated Foundry" in told["text"], f"{name}: {told}"
            assert (line["model"], line["fallback"]) == (other, sonnet), f"{name}: {line}"
        assert first["first"] < bound, f"{name}: after {first['first']:.2f} s"
        assert again["first"] < 1.0, f"{name}: the next request after {again['first']:.2f} s"
        figures[name] = f"after {first['first']:.2f} s, next {again['first']:.2f} s, {lines[0]['error_class']}"
        assert wait_until(lambda: CLOUD in ask(sonnet)[0]["text"], BACK_WITHIN, 0.5), f"{name}: not asked again"
    stage.site().deploy().ok()
    return figures


@drill.cell("boxes")
def boxes(stage: Stage) -> Figures:
    """Two servers of one model: in order, sharing sessions that stay where they are, and one that dies."""
    stage.converged()
    second = {"kind": "vllm", "url": urls(stage)["vllm"], "models": {"local": {"id": "devstral", "order": 2}}}
    figures = {}

    def answers(sessions: int, times: int = 1) -> list[set[str]]:
        texts = [{told["text"] for told in ask(times=times, session=f"session-of-box-{n}")} for n in range(sessions)]
        assert all(len(each) == 1 for each in texts), f"a session moved: {texts}"
        return texts

    stage.site(settings={"backends": {"second": second}}).deploy().ok()
    ask(FALLBACK), local_again(kinds(urls(stage))["lm_studio"])
    assert all("LM Studio" in text for each in answers(4) for text in each), "the second was asked"
    before = len(audit())
    with fault(stage, "lmstudio", "refuse"):
        (told,) = ask()
    (line,) = audited(before, 1)
    assert "vLLM" in told["text"], told
    assert line["backend"] == "second", line
    figures["in order"] = f"the first answers; it dies: the second after {told['total']:.2f} s, no cloud"
    with fault(stage, "lmstudio", "refuse"), fault(stage, "vllm", "refuse"):
        (told,) = ask()
    assert CLOUD in told["text"], told
    figures["both gone"] = f"the fallback after {told['total']:.2f} s"
    second["models"]["local"]["order"] = 1
    stage.site(settings={"backends": {"second": second}}).deploy().ok()
    ask(FALLBACK), local_again(kinds(urls(stage))["lm_studio"])
    shared = answers(12, times=3)
    both = [sum(server in next(iter(each)) for each in shared) for server in ("LM Studio", "vLLM")]
    assert all(both), f"one gets all sessions: {both}"
    figures["sharing"] = f"12 sessions of 3 requests: {both[0]} and {both[1]}, none moved"
    with fault(stage, "vllm", "refuse"):
        told = ask(times=6, session="box-dies")
    assert all("LM Studio" in each["text"] for each in told), told
    figures["one dies"] = f"the other answers, at most {max(each['total'] for each in told):.2f} s"
    stage.site().deploy().ok()
    return figures


@drill.cell("quota")
def quota(stage: Stage) -> Figures:
    """The cloud's quota is used up: the next request is answered locally, and the cloud is left alone as it asked."""
    stage.converged()
    sonnet, local = "claude-sonnet-4-6", kinds(urls(stage))["lm_studio"]
    more = {"lmstudio": {"models": {"local": {"context_length": 65536}}}}
    stage.site(settings={"gateway": {"quota_fallbacks": {sonnet: ["local"]}}, "backends": more}).deploy().ok()
    ask(sonnet), ask("local")
    words = {}
    for kind in ("quota", "402"):  # the account's limit of spending is a 400, its empty balance a 402
        before = len(audit())
        with fault(stage, "anthropic", kind):
            (told,) = ask(sonnet)
        (line,) = audited(before, 1, sonnet)
        assert local.says in told["text"], f"{kind}: {told}"
        assert line["error_class"] == "quota", line
        words[kind] = f"local after {told['total']:.2f} s, {line['error_class']}"
        assert wait_until(lambda: CLOUD in ask(sonnet)[0]["text"], BACK_WITHIN, 0.5)
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
    lines = audited(before, 3, sonnet)[1:]
    assert [(line["fallback"], line["error_class"]) for line in lines] == [(sonnet, "rate_limit")] * 2, lines
    started = time.monotonic()
    assert wait_until(lambda: CLOUD in ask(sonnet)[0]["text"], BACK_WITHIN, 0.5)
    back = time.monotonic() - started
    with (
        loaded_with(stage, local, 65536),  # a cloud lane's session opens with more than 32768 tokens
        fault(stage, "anthropic", "429", retry_after=60),
        Claude("claude-routed") as session,
    ):
        session.ask("say hello", f"Hello from simulated {local.says}")
        shown = session.status_line("free: local at lmstudio answered, ")
    stage.site().deploy().ok()
    return {**words, "429": f"local after {first['total']:.2f} s", "next": f"local after {again['total']:.2f} s",
            "cloud again": f"after {back:.0f} s (it asked for 8)", "500": "stays the cloud's",
            "status line": shown}  # fmt: skip


@drill.cell("context")
def context(stage: Stage) -> Figures:
    """The model is loaded anew with too little context: the fallback answers until it has enough again."""
    stage.converged()
    kind = kinds(urls(stage))["lm_studio"]
    local_again(kind), ask(FALLBACK)
    before, started = len(audit()), time.monotonic()
    with loaded_with(stage, kind, 8192):
        (told,) = ask(kind.model, words=CLOUD, seconds=BACK_WITHIN)
        noticed = time.monotonic() - started
        assert CLOUD in told["text"], told
        healed = time.monotonic()
    back = local_again(kind, since=healed)
    line = next(line for line in audit(before) if line["fallback"])
    assert (line["error_class"], line["model"]) == ("context", FALLBACK), line
    words = [each for each in said_by_gateway() if "is loaded with 8192 tokens" in each]
    assert words, "the journal does not tell"
    return {"noticed after": f"{noticed:.0f} s", "the journal says": words[-1], "back after": f"{back:.0f} s"}


@drill.cell("client-gone")
def client_gone(stage: Stage) -> Figures:
    """A client goes away while the local server hangs: nobody is asked in its place; one that waits is answered."""
    stage.converged()
    kind = kinds(urls(stage))["lm_studio"]

    def faults_of(server: str) -> list[str]:
        return [each["fault"] for each in stage.simulators.requests(server)]

    def nobody_else(patience: float) -> dict[str, Any]:
        """Have the server let go of a request that it hung on, after the client's patience; return its line."""
        local_again(kind)
        stage.simulators.clear()
        before = len(audit())
        with ThreadPoolExecutor(1) as pool:
            with fault(stage, kind.server, "hang"):
                client = pool.submit(ask, kind.model, patience=patience)
                hung = wait_until(
                    lambda: any(each["fault"] for each in stage.simulators.requests(kind.server)), 20, 0.2
                )
                assert hung, "the server was not asked"
                ended = wait_until(lambda: len(audit(before)) > 0, 6, 0.2)
            client.result()
        (line,) = audited(before, 1)
        local_again(kind)
        billed = [each for each in stage.simulators.requests("anthropic") if each["path"] == "/v1/messages"]
        assert ended, f"the request went on until the server let go of it: {line}"
        assert not billed, f"the cloud was asked: {line}"
        return line

    line = nobody_else(patience=1)
    assert (line["status"], line["error_class"], line["cost_usd"]) == (None, "client_gone", 0), line
    control = must_fail(lambda: nobody_else(patience=60), "a client that waits")
    return {"after the client": f"{line['seconds']:.1f} s, {line['error_class']}", "the cloud": "is not asked",
            "control": control}  # fmt: skip
