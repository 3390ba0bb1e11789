"""One prompt to another lane without leaving the session: claude-escalate to the cloud, claude-dispatch to a local one.

They are what the skills cloud-escalator and vibe-orchestrator call. Each runs Claude Code as a process of its own, with
the environment of the other lane, so nothing of it comes back but the answer.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..shared import audit
from ..shared.output import EX_PROTOCOL, EX_UNAVAILABLE, EX_USAGE, fail, say, tell, tell_json, tell_text
from . import lane as lanes
from . import stopped
from .records import lane_named, read_records, require_user

ESCALATE = """\
claude-escalate [--timeout SECONDS] [--budget USD] PROMPT...    (or the prompt on stdin)

One question to the cloud: no tools, no files, no project's instructions. Only the prompt goes out."""
DISPATCH = """\
claude-dispatch [--timeout SECONDS] [--budget USD] [--parallel NUMBER] [--json] PROMPT... [-- what claude takes]

Each PROMPT is a task of its own for the local lane, in this directory, side by side; the answers are printed in order.
They may read, search and edit files; what more they may is said after --, such as --allowedTools Bash."""
EDITING = ("--permission-mode", "acceptEdits", "--allowedTools", "Read,Edit,Write,Grep,Glob")
LIMITS = ("--timeout", "--budget", "--parallel")
OPTION = re.compile(r"--[a-z][a-z-]*(=.*)?", re.DOTALL)
# A session that calls this hands its own identity down; the process that is started here has its own.
OF_THE_CALLER = ("CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_ENTRYPOINT")


@dataclass(frozen=True)
class Answer:
    """What came of one prompt; `status` 0: an answer, 124: out of time."""

    prompt: str
    status: int
    text: str
    seconds: float


def escalate(arguments: Sequence[str]) -> NoReturn:
    """Ask the cloud one question."""
    records, options, prompts, rest = _called(arguments, "escalation", ESCALATE)
    here = records["lanes"].get(os.environ.get("SIGNALBOX_LANE", ""))
    if here and here["private"]:
        fail(EX_USAGE, "this session is private: nothing of it may go to a cloud")
    if not prompts and sys.stdin.isatty():
        fail(EX_USAGE, ESCALATE)
    prompt = " ".join(prompts) or sys.stdin.read()
    if not prompt.strip() or rest:
        fail(EX_USAGE, ESCALATE)
    ask = _asker(records, options, ["--tools", "", "--strict-mcp-config"])
    with tempfile.TemporaryDirectory() as empty:
        answer = ask(prompt, empty)
    tell_text(answer.text)
    sys.exit(answer.status)


def dispatch(arguments: Sequence[str]) -> NoReturn:
    """Give tasks to the local lane, side by side."""
    records, options, prompts, rest = _called(arguments, "dispatch", DISPATCH)
    if not prompts:
        fail(EX_USAGE, DISPATCH)
    here = os.environ.get("SIGNALBOX_LANE", "")
    if records["lanes"].get(here, {}).get("private"):
        options["lane"] = here  # what is private stays in its lane
    ask = _asker(records, options, [*EDITING, *rest])
    with ThreadPoolExecutor(int(options["parallel"])) as pool:
        answers = list(pool.map(lambda prompt: ask(prompt, os.getcwd()), prompts))
    if options["json"]:
        tell_json([asdict(answer) for answer in answers])
    else:
        for number, answer in enumerate(answers, start=1):
            word = "done" if answer.status == 0 else f"FAILED with {answer.status}"
            tell(f"## {number} of {len(answers)}: {word} in {answer.seconds:.0f} s: {answer.prompt[:60]}")
            tell_text(f"{answer.text}\n")
    sys.exit(max((answer.status for answer in answers), default=0))


def _called(
    arguments: Sequence[str], section: str, usage: str
) -> tuple[dict[str, Any], dict[str, Any], list[str], list[str]]:
    """Return records, options, prompts, and what is for claude."""
    words = list(arguments)
    cut = words.index("--") if "--" in words else len(words)
    words, rest = words[:cut], words[cut + 1 :]
    records = read_records()
    require_user(records["user"])
    options: dict[str, Any] = {**records[section], "json": False}
    prompts: list[str] = []
    while words:
        word = words.pop(0)
        option, given, value = word.partition("=")
        limit = option.removeprefix("--")
        if word in ("-h", "--help"):
            tell(*usage.splitlines())
            sys.exit(0)
        if word == "--json" and section == "dispatch":
            options["json"] = True
        elif option in LIMITS and limit in options:
            told = _limit(option, value if given or not words else words.pop(0))
            options[limit] = min(told, options[limit] or told)
        elif OPTION.fullmatch(word):
            # Sent as a prompt, a mistyped one would be billed.
            fail(EX_USAGE, f"there is no option {option}\n{usage}")
        else:
            prompts.append(word)
    return records, options, prompts, rest


def _limit(option: str, value: str) -> float:
    try:
        limit = float(value)
    except ValueError:
        limit = 0
    least = 1 if option == "--parallel" else 0.0001
    if not least <= limit < math.inf:
        fail(EX_USAGE, f"{option} {value}: write a number, {least} or more")
    return limit


def _asker(records: dict[str, Any], options: dict[str, Any], arguments: list[str]) -> Callable[[str, str], Answer]:
    """Return what asks the lane one prompt in a directory; end with the reason if the lane cannot work."""
    name = options["lane"]
    lane = lane_named(records, name)
    variables = lanes.ready(name, lane, records, ["-p", *arguments])
    variables = {each: value for each, value in variables.items() if each not in OF_THE_CALLER}
    # No title, no summary: one question is one request.
    variables["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1"
    command = [records["claude"], *records["flags"], "-p", "--max-budget-usd", str(options["budget"]), *arguments]

    def ask(prompt: str, directory: str) -> Answer:
        started = time.monotonic()
        own = dict(variables)
        run = lanes.begun(lane, records, own)
        try:
            done = subprocess.run(
                command, input=prompt, env=own, cwd=directory, capture_output=True, text=True,
                timeout=options["timeout"], check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Answer(prompt, 124, f"no answer within {options['timeout']:.0f} s", time.monotonic() - started)
        except OSError as error:
            fail(EX_UNAVAILABLE, f"{records['claude']} cannot be started ({error.strerror})")
        for each in audit.stood_in(Path(run.audit), run.ident, records["lanes"]) if run.audit else ():
            say(each)
        status = done.returncode
        if stopped.is_undone(run.ident) and status == 0:
            say(stopped.WORDS)
            status = EX_PROTOCOL
        elif status:
            say(f"{name} ended with {status}: {done.stderr.strip()[-300:]}")
        return Answer(prompt, status, done.stdout.strip(), round(time.monotonic() - started, 1))

    return ask
