"""What people meet with the servers they have: each behaviour, each way to the server, each form of using Claude Code.

A table of behaviours, of ways and of forms; `look` plays one of each, and says who answered, what was billed and what
was told. None may end well (exit status 0) with the work undone, and nothing may be billed that is not told.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import requests

from tests.drills import looks, record
from tests.drills.drill import must_fail
from tests.drills.failures import Kind, audit, local_again, urls
from tests.drills.screen import MODES, TRUST, Terminal
from tests.drills.server_behaviours import BEHAVIOURS, IMAGE, NONE, SEND, TOOL, Behaviour
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until, write

DIRECTORY = "~/drill-inside"
# One pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELLO = "say hello"
ENVIRONMENT = "CLAUDE_CODE_MAX_RETRIES=1 timeout 170"  # seconds; a lane's own three tries show nothing more here
WAYS = ("gateway", "direct", "private")
FORMS = ("-p", "tools", "turns", "terminal")
TURNS = 5
MCP = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    told = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "mail", "version": "1"}},
        "tools/list": {"tools": [TOOL]},
    }.get(asked.get("method"), {})
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
"""
AGAIN = "Resend your message to try again"  # so Claude Code 2.1.329 says at a terminal after words and an error
FAILED = f"API Error|NOBODY answered|{NONE}"  # the second stands in the status line
DONE = "Hello from simulated|saw the output"
MADE = "made-42"  # by Bash, as TOOL asks


def lanes(every: Mapping[str, Kind]) -> dict[str, Any]:
    """Return a lane for each kind and way."""
    slots = ("main", "opus", "sonnet", "haiku", "fable")
    direct = {"via": "direct", "credential": "none"}
    more = {"gateway": {}, "direct": direct, "private": {**direct, "private": True}}
    return {
        f"{kind.server}-{way}": {
            "models": dict.fromkeys(slots, kind.model),
            "config_dir": f"~/.claude-{kind.server}-{way}",
            **more[way],
        }
        for kind in every.values()
        for way in WAYS
        if kind.server != "webui" or way == "gateway"
    }


def prepare() -> None:
    """Have the directory on the host, with an image and an MCP server's tool in it."""
    looks.answer(f"mkdir -p {DIRECTORY} && echo {PNG} | base64 -d > {IMAGE}")
    config = json.dumps({"mcpServers": {"mail": {"command": "python3", "args": ["mcp.py"]}}})
    hosts.run(HOST, f"cat > {DIRECTORY}/mcp.json", user="claude", stdin=config)
    hosts.run(HOST, f"cat > {DIRECTORY}/mcp.py", user="claude", stdin=MCP.replace("TOOL", repr(SEND)))


def control(stage: Stage, behaviour: Behaviour, kind: Kind) -> str:
    """See that the cell fails without what is ours, or without the behaviour; return what was said of it."""
    if behaviour.taken_out:
        with _taken_out(behaviour.taken_out):
            return must_fail(lambda: look(stage, behaviour, kind, "gateway", "-p"), "the gateway without its mend")
    if behaviour.refused:
        return must_fail(lambda: _takes(stage, behaviour, kind), "the server itself, asked otherwise")
    if behaviour.without is None:
        return must_fail(lambda: plainly(stage, behaviour, kind), "plain claude")
    other = replace(behaviour, have=behaviour.without)
    return must_fail(lambda: look(stage, other, kind, "gateway", "-p"), "a server that does otherwise")


@contextmanager
def _taken_out(script: str) -> Iterator[None]:
    """Have the gateway run with what sed makes of its start, and then as it was."""
    start, own = "/home/litellm/.config/signalbox/gateway/start", "/root/drill-start"
    reload = "systemctl --user --machine=litellm@.host reload litellm.service"
    changed = f"cp {start} {own} && sed -i {shlex.quote(script)} {start} && ! cmp -s {start} {own} && {reload}"
    hosts.run(HOST, changed, timeout=300)
    try:
        yield
    finally:
        hosts.run(HOST, f"cat {own} > {start} && rm {own} && {reload}", timeout=300)


def look(stage: Stage, behaviour: Behaviour, kind: Kind, way: str, form: str) -> dict[str, str]:
    """Play one; return its row. AssertionError where it ends well and the work is undone, or is billed untold."""
    stage.simulators.clear()
    if way == "gateway":
        local_again(kind)
        stage.simulators.clear()
    looks.answer(f"rm -rf ~/.claude-{kind.server}-{way}/projects")
    before = len(audit())
    with behaviour.have(stage, kind):
        status, said = _play(f"claude-{kind.server}-{way}", form, behaviour)
    lines = _new_lines(before)
    paid = [each for each in looks.chats(stage, "anthropic") if each["status"] == 200]
    asked = behaviour.prompt or (TOOL if form == "tools" else HELLO)
    done = bool(re.search(MADE if asked == TOOL else DONE, said))
    where = f"{behaviour.name}, {kind.server}, {way}, {form}"
    assert done or status, f"{where}: it ended well, and did nothing: {said[-400:]}"
    assert not paid or way == "gateway", f"{where}: a cloud was asked: {paid}"
    assert all(line["fallback"] and line["error_class"] for line in lines if line["cost_usd"]), f"{where}: {lines}"
    by = "nobody" if not done else "cloud" if paid else "local"
    assert by in behaviour.by[way].split("|"), (
        f"{where}: {by} did it, not {behaviour.by[way]}: {status} {said[-400:]} {lines}"
    )
    assert by != "nobody" or re.search(behaviour.words, said), f"{where}: {said[-400:]}"
    why = sorted({f"{line['error_class']}" for line in lines if line["fallback"]})
    mended = sorted({each for line in lines for each in line["mended"]})
    read = [line.strip() for line in said.splitlines() if re.search(behaviour.words, line)]
    words = read[0][:120] if by == "nobody" else ""
    told = [*(f"audit: {each}" for each in why), *(f"mended: {each}" for each in mended), *([words] if words else [])]
    billed = sum(line["cost_usd"] or 0 for line in lines)
    return {"kind": kind.server, "way": way, "form": form, "by": by, "billed": f"{billed:.4f}" if billed else "",
            "told": "; ".join(told)}  # fmt: skip


def _takes(stage: Stage, behaviour: Behaviour, kind: Kind) -> None:
    """AssertionError unless the server itself takes the messages that it should refuse."""
    body = {"model": kind.record["models"][kind.model]["id"], "messages": behaviour.refused}
    with behaviour.have(stage, kind):
        answer = requests.post(f"{urls(stage)[kind.server]}/v1/chat/completions", json=body, timeout=10)
    assert answer.status_code == 200, answer.text[:200]


def plainly(stage: Stage, behaviour: Behaviour, kind: Kind) -> None:
    """AssertionError unless Claude Code without a lane does the work with this server."""
    url = stage.simulators.servers()[kind.server]
    told = {
        "ANTHROPIC_BASE_URL": f"http://{url['bind']}:{url['port']}", "ANTHROPIC_AUTH_TOKEN": "none",
        "ANTHROPIC_MODEL": kind.model, "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "32768", "CLAUDE_CODE_MAX_RETRIES": "0",
        "CLAUDE_CONFIG_DIR": "/home/claude/.claude-plain", "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip
    variables = " ".join(f"{name}={value}" for name, value in told.items())
    words = looks.quoted(behaviour.prompt or HELLO)
    with behaviour.have(stage, kind):
        more = f"{behaviour.arguments} --allowedTools Read -- {words}"
        status, said = _ran(f"env {variables} ~/.local/bin/claude -p {more}")
    assert status == 0, said[-300:]
    assert re.search(DONE, said), said[-300:]


def _play(lane: str, form: str, behaviour: Behaviour) -> tuple[int, str]:
    """Use Claude Code in this form; return an exit status (of the first that is not 0) and all that was said."""
    prompt, more = behaviour.prompt, f"{behaviour.arguments} --allowedTools"
    if form == "terminal":
        return _at_a_terminal(f"CLAUDE_CODE_MAX_RETRIES=1 {lane} {more}=Bash,Read", prompt or HELLO)
    allowed = f"{more} Bash,Read --"
    if form != "turns":
        words = prompt or (TOOL if form == "tools" else HELLO)
        return _ran(f"{lane} -p {allowed} {looks.quoted(words)}")
    first = _ran(f"{lane} -p {allowed} {looks.quoted(prompt or HELLO)}")
    later = [_ran(f"{lane} --continue -p {allowed} {looks.quoted(HELLO)}") for _ in range(TURNS - 1)]
    statuses = [status for status, _ in (first, *later)]
    undone = [said for status, said in later if not status and "Hello from" not in said]
    assert not undone, f"a later turn ended well, and said nothing: {undone}"
    return next((status for status in statuses if status), 0), "\n".join(said for _, said in (first, *later))


def _at_a_terminal(command: str, prompt: str) -> tuple[int, str]:
    """Type a prompt; return 1 where Claude Code has not started, or tells an error, and what stands on the screen."""
    ended = "it has ended"
    with Terminal(f"{command}; echo {ended}; sleep 300", DIRECTORY) as session:
        if session.first(TRUST, ended, *MODES.values()) == TRUST:
            session.press("Down", "Enter")
            session.first(*MODES.values())
        if ended in session.screen():
            return 1, session.screen()
        for _ in range(2):
            session.type(prompt)
            wait_until(lambda: bool(re.search(f"{DONE}|{MADE}|{FAILED}", session.screen())), 90, 0.5)
            if AGAIN not in session.screen():
                break
        return (1 if re.search(FAILED, session.screen()) else 0), session.screen()


def _ran(command: str) -> tuple[int, str]:
    done = hosts.run(HOST, f"cd {DIRECTORY} && {ENVIRONMENT} {command}", user="claude", check=False, timeout=200)
    return done.returncode, f"{done.stderr}\n{done.stdout}"


def _new_lines(before: int) -> list[dict[str, Any]]:
    """Return the audit's new lines, once no more come."""
    seen = [-1]

    def still() -> bool:
        seen.append(len(audit(before)))
        return seen[-1] == seen[-2]

    wait_until(still, 5, 0.3)
    return audit(before)


def forms(behaviour: Behaviour, which: str) -> Sequence[str]:
    """Return the forms that are played with this kind of server."""
    return FORMS if which == behaviour.kinds[0] else FORMS[:2]


def keep(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Keep the rows of a behaviour."""
    write(record.STATE / "servers" / f"rows-{name}.json", json.dumps(rows))


def publish() -> None:
    """Write the page of all rows: those of behaviours that have been played here, the others as they were."""
    path = record.DOCS / "servers_rows.md"
    rows = record.sections(path)
    for each in BEHAVIOURS:
        file = record.STATE / "servers" / f"rows-{each.name}.json"
        if file.exists():
            rows[each.name] = [record.row(row.values()) for row in json.loads(file.read_text())]
    head = [
        "# servers: the rows",
        "",
        "Who did the work, USD that the audit counts, and what was told, of each behaviour, kind of server, way to it "
        f"and form: `-p`, `-p` with a tool call, {TURNS} turns with `--continue`, a session at a terminal. When and "
        "with which commit: [servers.md](servers.md).",
        "",
        *(f"- {each.name}: {each.shows} ({each.source})" for each in BEHAVIOURS),
    ]
    columns = "server | way | form | by | USD | told"
    record.write_sections(
        path, head, {each.name: (columns, rows[each.name]) for each in BEHAVIOURS if each.name in rows}
    )


def played(stage: Stage, behaviour: Behaviour, every: Mapping[str, Kind]) -> Iterator[dict[str, str]]:
    """Yield the rows of a behaviour."""
    for which in behaviour.kinds:
        for way in behaviour.by:
            for form in forms(behaviour, which):
                yield look(stage, behaviour, every[which], way, form)
