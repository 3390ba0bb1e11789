"""What a person does in a session at a terminal: permissions, plans, work aside, pictures, breaking off, /model."""

from __future__ import annotations

import base64
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.drills import failures, looks
from tests.drills.drill import Figures, must_fail
from tests.drills.screen import MODES, PATIENCE, POINTER, TRUST, Claude, Terminal
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

HERE = "/home/claude/drill-inside"
LOCAL, CLOUD = "Hello from simulated LM Studio", "Hello from simulated Anthropic"
LANES = {"local": ("claude-local", LOCAL), "cloud": ("claude-cloud", CLOUD)}  # a lean one, and one that is full
SERVERS = {"local": ("lmstudio", "anthropic"), "cloud": ("anthropic", "lmstudio")}  # whose lane it is, and the other
# What Claude Code 2.1.329 says.
CREATE, CHANGE, REJECTED = "Do you want to create", "Do you want to make this edit", "Rejected write"
EXIT_PLAN = "Claude wants to exit plan mode"
WAITS = "esc to interrupt"
SAW = "saw the output"  # the scripted model, after a tool's result
SLOW = 8  # seconds of a server that is slow, and not broken


def _call(tool: str, **arguments: Any) -> str:
    """Return the prompt at which the scripted model calls a tool."""
    return f'call the tool "{tool}" with {json.dumps(arguments)}'


@contextmanager
def _session(command: str, **more: Any) -> Iterator[Claude]:
    """Have a session in an empty directory, which is empty again after it."""
    empty = f"mkdir -p {HERE} && find {HERE} -mindepth 1 -delete"
    looks.answer(empty)
    try:
        with Claude(command, **more) as session:
            yield session
    finally:
        looks.answer(empty)


def _there(name: str) -> str:
    """Return what a file of the sessions' directory holds; "" where it is not there."""
    return looks.answer(f"cat {HERE}/{name} 2>/dev/null || true")


def _comes(name: str, content: str) -> None:
    assert wait_until(lambda: _there(name) == content, PATIENCE, 0.5), f"{name} holds {_there(name)!r}"


def _gone(session: Claude, words: str) -> None:
    assert wait_until(lambda: words not in session.screen(), PATIENCE, 0.3), session.screen()


def _cleared(session: Claude) -> None:
    """Have nothing of the conversation on the screen."""
    session.type("/clear")
    _gone(session, "simulated")


def _asked(stage: Stage, server: str) -> int:
    """Return how often this server was asked for an answer."""
    return len(looks.chats(stage, server))


def _permissions(command: str) -> str:
    """Refuse a Write and an Edit, allow one of each; return what the screen asked."""
    file = f"{HERE}/fruit.txt"
    write = _call("Write", file_path=file, content="kumquat")
    with _session(command) as session:
        session.type(write)
        asked = [session.line(CREATE)]
        assert not _there("fruit.txt"), f"{command}: written before it was allowed"
        session.press("Escape")
        session.first(REJECTED)
        assert not _there("fruit.txt"), f"{command}: written although it was refused"
        session.type(write)
        session.first(CREATE)
        session.press("Enter")
        _comes("fruit.txt", "kumquat")
        session.first(SAW)
        session.type(_call("Edit", file_path=file, old_string="kumquat", new_string="quince"))
        asked.append(session.line(CHANGE))
        assert _there("fruit.txt") == "kumquat", f"{command}: changed before it was allowed"
        session.press("Enter")
        _comes("fruit.txt", "quince")
        _cleared(session)
        session.ask(_call("Read", file_path=file), SAW)
        session.type(_call("Edit", file_path=file, old_string="quince", new_string="medlar"))
        session.first(CHANGE)
        session.press("Escape")
        _gone(session, CHANGE)
        assert _there("fruit.txt") == "quince", f"{command}: changed although it was refused"
    return " | ".join(asked)


def permissions(stage: Stage) -> Figures:
    """Write and Edit ask first; what is refused is not done, what is allowed is."""
    stage.converged()
    figures: dict[str, object] = {lane: _permissions(command) for lane, (command, _) in LANES.items()}
    accepted = "claude-local --permission-mode acceptEdits"
    return {**figures, "control": must_fail(lambda: _permissions(accepted), "edits that are accepted")}


def _plan(command: str) -> str:
    """Go to plan mode with Shift-Tab, refuse a plan, then accept it; return what the screen asked."""
    plan = _call("ExitPlanMode", plan="# Plan\nPeel it.")
    with _session(command) as session:
        session.press("BTab", "BTab")
        session.first(MODES["plan"])
        session.type(plan)
        asked = session.line(EXIT_PLAN)
        session.press("Escape")
        session.first("Rejected Claude's plan")
        assert session.mode() == "plan", f"{command}: a refused plan ends in {session.mode()}"
        session.type(plan)
        session.first(EXIT_PLAN)
        session.press("Enter")
        _gone(session, EXIT_PLAN)
        assert session.mode() == "default", f"{command}: an accepted plan ends in {session.mode()}"
    return asked


def plan(stage: Stage) -> Figures:
    """Shift-Tab leads to plan mode; a plan that is refused leaves it on, one that is accepted leads back to manual."""
    stage.converged()
    return {lane: _plan(command) for lane, (command, _) in LANES.items()}


def _aside(stage: Stage, lane: str, command: str, answer: str) -> str:
    """Have a subagent and a command in the background; return what the screen said of both."""
    server, other = SERVERS[lane]
    stage.simulators.clear()
    with _session(command) as session:
        session.type(
            _call("Agent", description="a drill", prompt="say hello to kumquats", subagent_type="general-purpose")
        )
        told = session.line('Agent "a drill" finished')
        session.first(answer)
        asked = [each for each in looks.chats(stage, server) if "say hello to kumquats" in json.dumps(each["body"])]
        assert len(asked) >= 2, f"{command}: the subagent's request is none of {len(asked)}"
        session.type(_call("Bash", command=f"sleep {SLOW}; echo peeled > peel.txt", run_in_background=True))
        while session.first("Do you want to proceed?", "1 shell") != "1 shell":
            session.press("Enter")
        runs = session.line("1 shell")
        assert not _there("peel.txt"), "it ran in the foreground"
        session.ask("say hello", answer)  # meanwhile
        _comes("peel.txt", "peeled")
        session.first("Background command", "completed")
    assert not _asked(stage, other), f"{command}: {other} was asked"
    return f"{told}; {runs}"


def aside(stage: Stage) -> Figures:
    """A subagent and a command in the background work beside the session, and are asked of the lane's own servers."""
    stage.converged()
    return {lane: _aside(stage, lane, *its) for lane, its in LANES.items()}


def _picture() -> str:
    """Return a red picture of 64 x 64 (PNG), in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def image(stage: Stage) -> Figures:
    """A picture whose path is pasted into the prompt, and one that a tool reads, reach the lane's own model."""
    stage.converged()
    figures: dict[str, object] = {}
    for lane, (command, answer) in LANES.items():
        server, _ = SERVERS[lane]
        stage.simulators.clear()
        with _session(command) as session:
            looks.answer(f"echo {_picture()} | base64 -d > {HERE}/red.png")
            session.paste(f"{HERE}/red.png")
            pasted = session.line("[Image #1]")
            session.ask(" what is it", answer)
            session.ask(_call("Read", file_path=f"{HERE}/red.png"), SAW)
        kinds = ("image_url", '"type": "image"')
        held = [each for each in looks.chats(stage, server) if any(kind in json.dumps(each["body"]) for kind in kinds)]
        assert len(held) >= 2, f"{command}: {len(held)} requests had a picture"
        figures[lane] = f"{pasted.strip(f'{POINTER} ')}, {len(held)} requests with a picture"
    return figures


def _broken_off(stage: Stage, command: str, answer: str, server: str, key: str) -> float:
    """Break off a slow answer with a key; return the seconds until the prompt was there. Nobody else is asked."""
    stage.simulators.clear()
    with _session(command) as session:
        session.ask("say hello", answer)
        path = "/v1/chat/completions" if server == "lmstudio" else "/v1/messages"
        stage.simulators.fault(server, "hang", seconds=SLOW, path=path)
        session.type("say hello to medlars")
        session.first(WAITS)
        begun = time.monotonic()
        session.press(key)
        _gone(session, WAITS)
        seconds = time.monotonic() - begun
        assert seconds < SLOW - 2, f"{key} took {seconds:.1f} s: it waited for the answer"
        time.sleep(SLOW + 1)  # what the session asks beside its answers, such as a title, waits for its own
        stage.simulators.heal()
        session.press("C-u")  # Claude Code gives the prompt back
        session.ask("say hello again", answer)
    return seconds


def interrupt(stage: Stage) -> Figures:
    """Esc and Ctrl-C break an answer off at once; the session goes on in its lane, and nobody else is asked."""
    stage.converged()
    figures: dict[str, object] = {}
    for lane, (command, answer) in LANES.items():
        server, other = SERVERS[lane]
        for key in ("Escape", "C-c"):
            seconds = _broken_off(stage, command, answer, server, key)
            assert not _asked(stage, other), f"{command}: after {key} {other} was asked"
            figures[f"{lane}, {key}"] = f"after {seconds:.1f} s"
    return figures


def compact(stage: Stage) -> Figures:
    """/compact: the lane's own model sums up, and the session goes on with what it said."""
    stage.converged()
    figures: dict[str, object] = {}
    for lane, (command, answer) in LANES.items():
        server, other = SERVERS[lane]
        stage.simulators.clear()
        with _session(command) as session:
            session.ask("the word is quince, say hello", answer)
            before = _asked(stage, server)
            session.type("/compact")
            told = session.line("Compacted")
            assert _asked(stage, server) > before, f"{command}: nobody summed up"
            _cleared_of(session, answer)
            newest = json.dumps(looks.chats(stage, server)[-1]["body"])
            assert "continued from a previous conversation" in newest, newest[-2000:]
        assert not _asked(stage, other), f"{command}: {other} was asked"
        figures[lane] = told
    return figures


def _cleared_of(session: Claude, answer: str) -> None:
    """Ask once more and be answered; the screen was drawn anew by /compact."""
    before = session.screen().count(answer)
    session.type("say hello on")
    assert wait_until(lambda: session.screen().count(answer) > before, PATIENCE, 0.3), session.screen()


def models(stage: Stage) -> Figures:
    """Each entry of /model, once chosen, answers, and the status line says who; one without room is refused."""
    stage.converged()
    figures: dict[str, object] = {}
    with _session("claude-routed") as session:
        entries = session.menu()
        for number, entry in enumerate(entries, 1):
            _cleared(session)
            session.type("/model")
            session.first("Select model")
            session.press(str(number))
            if "too little for this lane's prompt" in entry:
                figures[entry.split(" lmstudio ")[0]] = session.line("was blocked by a PreModelSwitch hook")[:80]
                continue
            if session.first("Set model to", "Kept model", "Switch model?") == "Switch model?":
                session.press("Enter")
            free = "free" in entry
            session.ask("say hello", LOCAL if free else CLOUD)
            title = re.split(r" (?:\u2714 )?(?:lmstudio|anthropic|Use the default) ", f"{entry} ")[0]
            figures[title] = session.status_line("free: local" if free else "anthropic bills: claude-")
    return figures


def two(stage: Stage) -> Figures:
    """Two sessions at once, in two lanes: each has its own answers and its own status line, also while one fails."""
    stage.converged()
    with _session("claude-local") as one, Claude("claude-cloud", name="other") as other:
        one.ask("say hello", LOCAL)
        other.ask("say hello", CLOUD)
        figures: dict[str, object] = {"at once": f"{one.status_line('free: ')} / {other.status_line('bills: ')}"}
        assert CLOUD not in one.screen(), one.screen()
        assert LOCAL not in other.screen(), other.screen()
        with _limited(stage):
            other.type("say hello")
            figures["one at its limit"] = other.status_line("NOBODY answered")
            one.ask("say hello again", LOCAL)
            figures["the other meanwhile"] = one.status_line("free: ")
            other.press("Escape")
            _gone(other, WAITS)
    return figures


@contextmanager
def _limited(stage: Stage) -> Iterator[None]:
    """Have the cloud's limit used up, and in the end not, for the gateway too."""
    stage.simulators.fault("anthropic", "429", retry_after=5)
    try:
        yield
    finally:
        stage.simulators.heal()
        time.sleep(6)


def narrow(stage: Stage) -> Figures:
    """At 60 and 120 columns who pays stands in the status line, before and in a failover; NO_COLOR is obeyed."""
    stage.converged()
    figures: dict[str, object] = {}
    for width in (60, 120):
        with _session("claude-local", width=width) as session:
            session.ask("say hello", LOCAL)
            figures[f"{width} columns"] = session.status_line("local | free")
            stage.simulators.fault("lmstudio", "refuse")
            session.ask("say hello", CLOUD)
            figures[f"{width} columns, failed over"] = session.status_line("local | anthropic bills")
            assert all(len(line) <= width for line in session.screen().splitlines())
        _local_again(stage)

    def coloured(command: str) -> None:
        with _session(command) as session:
            session.ask("say hello", LOCAL)
            session.status_line("local | free")
            line = next(each for each in session.screen(colours=True).splitlines() if "free" in each and " | " in each)
            assert "\x1b[32m" in line, repr(line)

    coloured("claude-local")
    return {**figures, "NO_COLOR=1": must_fail(lambda: coloured("env NO_COLOR=1 claude-local"), "NO_COLOR=1")}


def _local_again(stage: Stage) -> None:
    """Heal the local server, and wait until the gateway asks it again."""
    stage.simulators.heal()
    assert wait_until(lambda: "LM Studio" in failures.ask()[0]["text"], PATIENCE, 0.5), "the gateway left it aside"


def shells(stage: Stage) -> Figures:
    """In bash, zsh and fish `claude-switch` and `claude` lead to the lane; after the session stands how it goes on."""
    stage.converged()
    looks.have_shell("zsh")
    looks.have_shell("fish")
    figures: dict[str, object] = {}
    for shell in ("bash", "zsh -i", "fish"):
        with Terminal(shell, "~/drill-inside") as typed:
            typed.type("claude-switch local")
            typed.line("claude now goes to")
            typed.type("claude")
            if typed.first(TRUST, *MODES.values()) == TRUST:
                typed.press("Down", "Enter")
                typed.first(*MODES.values())
            typed.type("say hello")
            typed.first(LOCAL)
            typed.type("/exit")
            figures[shell] = typed.line("in its lane that is: ")
            typed.type("claude-switch off")
            typed.line("plain claude again")
    return figures
