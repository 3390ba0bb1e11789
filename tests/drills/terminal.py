"""A person at a terminal, in each lane: how a session starts, what it offers, and what is left of it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import Any

from tests.drills import at_work, keeping, long_session, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.screen import MODES, PATIENCE, TRUST, Claude, Terminal
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "terminal",
    "a session at a terminal",
    "A person driven through a real terminal, in every lane: how a session starts, what `/model` offers, how large its "
    "first request is, that what was said in it is kept, how it goes on, and where help is.",
)

LANES = {
    "routed": "claude-routed",
    "local": "claude-local",
    "private": "claude-local --private",
    "cloud": "claude-cloud",
}
LOCAL = "Hello from simulated LM Studio"
FIRST_REQUEST = 48 << 10  # bytes; a local server reads them at each start of a session
LEFT_OUT = {"CronCreate", "DesignSync", "Monitor", "SendMessage", "WebFetch", "WebSearch", "Workflow"}
KEPT_TOOLS = {"Agent", "Bash", "Edit", "Read", "Skill", "Write", "mcp__drill__weather"}
# A server of the Model Context Protocol with one tool, over stdin and stdout.
MCP_SERVER = """\
import json, sys
TOOL = {"name": "weather", "description": "Tells it.", "inputSchema": {"type": "object", "properties": {}}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    told = {"tools": [TOOL]} if asked["method"] == "tools/list" else {
        "protocolVersion": asked.get("params", {}).get("protocolVersion"),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "drill", "version": "1"},
    }
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
"""
OWN_SKILL = "---\nname: drill-skill\ndescription: What a person has written for kumquats.\n---\nPeel it.\n"


def _manual(command: str) -> str:
    with Claude(command) as session:
        mode = session.mode()
        assert mode == "default", f"{command} starts in {mode}:\n{session.screen()}"
        return mode


@drill.cell("manual", fixed=True)
def manual(stage: Stage) -> Figures:
    """Each lane starts in manual mode, at its prompt, after no other question than whether the directory is trusted."""
    stage.converged()
    # As at the very first start: the lanes' directories hold what the deploy has put there.
    looks.answer("rm -f .claude-*/settings.json .claude-*/.claude.json .claude-*/.settings-of-signalbox.json")
    figures = {lane: _manual(command) for lane, command in LANES.items()}
    control = must_fail(lambda: _manual("claude-local --permission-mode plan"), "another mode asked for")
    return {**figures, "control": control}


def _menu(command: str, main: str, models: int) -> str:
    """Return what /model lists; AssertionError unless it is each model once, and the lane's main one as default."""
    with Claude(command) as session:
        default, *entries = session.menu()
    assert f"(currently {main})" in default, f"{command}: {default}"
    assert not any("[1m]" in entry or "1M context" in entry for entry in entries), f"{command}: {entries}"
    titles = [re.split(r"( \u2714)? (?=lmstudio|anthropic)", entry)[0] for entry in entries]
    assert all(re.search(r"(lmstudio|anthropic) \u00b7 .*(free|bills )", entry) for entry in entries), entries
    assert len(set(titles)) == len(titles) == models, f"{command}: {entries}"
    return " | ".join([default, *entries])


@drill.cell("menu")
def menu(stage: Stage) -> Figures:
    """/model has each model once, with whose it is, its window and its price; Default is the lane's main model."""
    stage.converged()
    model = stage.site().settings["backends"]["lmstudio"]["models"]["local"]["id"]
    wanted = {
        "routed": ("Sonnet 4.6", 4),
        "local": ("local", 4),
        "private": (str(model), 1),
        "cloud": ("Sonnet 4.6", 4),
    }
    figures = {lane: _menu(LANES[lane], *expected) for lane, expected in wanted.items()}
    file = ".claude-local/settings.json"
    before = looks.answer(f"cat {file}")
    settings = {key: value for key, value in json.loads(before).items() if key != "modelPicker"}
    looks.answer(f"printf %s {looks.quoted(json.dumps(settings))} > {file}")
    try:
        control = must_fail(lambda: _menu("claude-local", "local", 4), "Claude Code's own list")
    finally:
        looks.answer(f"printf %s {looks.quoted(before)} > {file}")
    return {**figures, "control": control}


def _tools(body: dict[str, Any]) -> set[str]:
    """Return the names of a request's tools, in either vendor's form."""
    return {str(each.get("name") or each["function"]["name"]) for each in body["tools"]}


def _lean(stage: Stage, command: str, server: str, answer: str) -> str:
    """Return how large the first request of a session is; AssertionError unless it is lean, and has what it needs."""
    stage.simulators.clear()
    with Claude(f"{command} --mcp-config ~/drill-inside/mcp.json") as session:
        session.ask("say hello", answer)
    body = looks.opening(stage, server)
    tools, text, size = _tools(body), json.dumps(body), len(json.dumps(body).encode())
    assert tools >= KEPT_TOOLS, KEPT_TOOLS - tools
    skills = ["drill-skill", "vibe-orchestrator", *([] if "--private" in command else ["cloud-escalator"])]
    for words in ("kumquat-of-claude-md", *skills):
        assert words in text, f"{command}: its first request says nothing of {words}"
    assert not LEFT_OUT & tools, LEFT_OUT & tools
    assert size <= FIRST_REQUEST, f"{command}: {size} bytes in {len(tools)} tools"
    return f"{size} bytes, {len(tools)} tools"


@drill.cell("lean")
def lean(stage: Stage) -> Figures:
    """A local session's first request is at most 48 KB, with files, Bash, subagents, MCP, CLAUDE.md and skills."""
    stage.converged()
    servers = {"mcpServers": {"drill": {"command": "python3", "args": ["/home/claude/drill-inside/server.py"]}}}
    written = {
        "CLAUDE.md": "The word is kumquat-of-claude-md.\n",
        "server.py": MCP_SERVER,
        "mcp.json": json.dumps(servers),
        ".claude/skills/drill-skill/SKILL.md": OWN_SKILL,
    }
    try:
        for name, content in written.items():
            path = f"~/drill-inside/{name}"
            looks.answer(f"mkdir -p $(dirname {path}) && printf %s {looks.quoted(content)} > {path}")
        figures = {
            "local": _lean(stage, "claude-local", "lmstudio", LOCAL),
            "private": _lean(stage, "claude-local --private", "lmstudio", LOCAL),
        }
        control = must_fail(
            lambda: _lean(stage, "claude-cloud", "anthropic", "Hello from simulated Anthropic"), "a lane that is full"
        )
        full = looks.opening(stage, "anthropic")
        figures["a full one"] = f"{len(json.dumps(full).encode())} bytes, {len(full['tools'])} tools"
        figures["a subagent"] = _subagent(stage)
    finally:
        looks.answer("rm -rf ~/drill-inside/.claude ~/drill-inside/*")
    return {**figures, "control": control}


def _subagent(stage: Stage) -> str:
    """Return how many requests a subagent of a lean session made."""
    stage.simulators.clear()
    work = {"description": "a drill", "prompt": "say hello to kumquats", "subagent_type": "general-purpose"}
    with Claude("claude-local") as session:
        session.type(f'call the tool "Agent" with {json.dumps(work)}')

        def asked() -> list[str]:
            texts = [json.dumps(each["body"]["messages"]) for each in looks.chats(stage, "lmstudio")]
            return [each for each in texts if "say hello to kumquats" in each and "call the tool" not in each]

        assert wait_until(lambda: bool(asked()), PATIENCE, 0.5), session.screen()
        return f"{len(asked())} request of its own"


@drill.cell("background")
def background(stage: Stage) -> Figures:
    """A -p run whose model starts a command in the background ends with its answer."""
    stage.converged()
    work = {"command": "sleep 90", "run_in_background": True, "description": "waits"}
    prompt = looks.quoted(f'call the tool "Bash" with {json.dumps(work)}')

    def ends(more: str = "") -> float:
        begun = time.monotonic()
        looks.answer(f"timeout 40 claude-local -p {prompt} --allowedTools Bash {more} < /dev/null")
        return time.monotonic() - begun

    seconds = ends()
    allowed = json.dumps({"env": {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0"}})
    control = must_fail(lambda: ends(f"--settings {looks.quoted(allowed)}"), "such commands allowed")
    return {"it ended after": f"{seconds:.0f} s", "control": control}


def _resumed(command: str, lane: str) -> str:
    """Say something in a session, leave it, type the line that stands there last, and find what was said."""
    with Terminal("bash --norc", "~/drill-inside") as shell:
        shell.type(command)
        if shell.first(TRUST, *MODES.values()) == TRUST:
            shell.press("Down", "Enter")
            shell.first(*MODES.values())
        shell.type("the word is quince", "Enter")
        shell.first("Hello from simulated")
        shell.press("C-z")
        shell.line("Stopped")
        shell.type("fg", "Enter")
        shell.first(*MODES.values())
        shell.type("/exit", "Enter")
        line = shell.line("in its lane that is: ").rpartition("that is: ")[2]
        assert line.startswith(f"claude-{lane} --resume "), line
        shell.type("echo status $?", "Enter")
        shell.line("status 0")
        shell.type(f"clear; {line}", "Enter")
        shell.first(*MODES.values())
        assert wait_until(lambda: "quince" in shell.screen(), PATIENCE, 0.5), shell.screen()
        shell.type("/exit", "Enter")
        shell.line("in its lane that is: ")
        return line


@drill.cell("resume")
def resume(stage: Stage) -> Figures:
    """After Claude Code's farewell stands the line that goes on in the lane; Ctrl-Z and fg are as ever."""
    stage.converged()
    lanes = {"routed": "routed", "local": "local", "private": "local-private", "cloud": "cloud"}
    figures: dict[str, object] = {lane: _resumed(LANES[lane], command) for lane, command in lanes.items()}

    def own_line() -> None:
        looks.answer("cd ~/drill-inside && claude --resume $(ls -t ~/.claude-local/projects/-home-claude-drill-inside"
                     " | head -n1 | cut -d. -f1) -p hello")  # fmt: skip

    return {**figures, "control": must_fail(own_line, "Claude Code's own line")}


@drill.cell("help")
def help_(stage: Stage) -> Figures:
    """A login names the commands; --help, man and Tab know them; what there is not fails and says so."""
    stage.converged()
    looks.have_shell("zsh")
    figures: dict[str, object] = {}
    line = [*access.ssh(Lab.current(), HOST, "claude", "-tt"), "-q"]
    login = subprocess.run(line, input="exit\n", capture_output=True, text=True, check=False, timeout=60).stdout
    greeting = looks.answer("cat /etc/motd.d/signalbox").splitlines()
    assert len(greeting) == 3, greeting
    assert all(each in login for each in greeting), login
    figures["greeting"] = greeting
    pages = looks.answer("man -w claude-session claude-switch claude-logs claude-local claude-dispatch")
    figures["pages"] = f"{len(pages.split())} of 5"
    told = looks.answer("claude-local --help")
    assert told.index("--private") < told.index("Claude Code's own help") < told.index("--dangerously"), told
    figures["--help"] = told.splitlines()[0]
    for shell in ("bash", "zsh -i"):
        with Terminal(shell, "~") as typed:
            if "zsh" in shell:
                typed.type("autoload -U compinit; compinit -u; clear")
            typed.type("claude-session new --lane local-", "Tab")
            figures[f"Tab in {shell}"] = typed.line("--lane local-private")
    for command, status in (
        ("claude-session end nothing", 64), ("claude-logs --lane nope", 64), ("claude-escalate < /dev/null", 64),
        ("systemctl --user start claude-task@bad", 1),
    ):  # fmt: skip
        done = hosts.run(HOST, command, user="claude", check=False)
        assert (done.returncode, bool(done.stderr.strip())) == (status, True), f"{command}: {done}"
        figures[command] = done.stderr.strip().splitlines()[0]
    looks.answer("systemctl --user reset-failed")
    return figures


for each in (
    at_work.permissions, at_work.plan, at_work.aside, at_work.image, at_work.interrupt, at_work.compact,
    at_work.models, at_work.two, at_work.narrow, at_work.shells, long_session.sixty, long_session.sizes,
    keeping.transcripts, keeping.plain,
):  # fmt: skip
    drill.cell(each.__name__)(each)
