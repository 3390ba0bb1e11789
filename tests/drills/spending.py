"""What bills in a local model's place: told, asked first, bounded by budgets, and never a payer that nobody named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failures import FALLBACK, audit, fault, kinds, local_again, urls
from tests.drills.screen import Claude
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import AS_KEEPER
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "spending",
    "nobody is billed unawares",
    "The local server fails, and the real Claude Code goes on: what a cloud answers in its place is told, asked for "
    "first where the lane says so, and ended by a budget, over restarts; local lanes go on.",
)

STOOD_IN = re.compile(
    rf"claude-local: {FALLBACK} at anthropic answered \d+ of \d+ requests in place of local \(\w+\): "
)
HELLO = "claude-local -p 'say hello'"


def _said(command: str, *, status: int = 0) -> str:
    """Return what a command says on stderr, and on stdout where it fails, for that is where Claude Code says why."""
    done = hosts.run(HOST, f"{command} </dev/null", user="claude", check=False, timeout=240)
    assert (done.returncode == 0) == (status == 0), (
        f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done.stderr + (done.stdout if status else "")


@contextmanager
def _away(stage: Stage) -> Iterator[None]:
    """Have the local server refuse every connection."""
    with fault(stage, "lmstudio", "refuse"):
        yield


@contextmanager
def _deployed(stage: Stage, settings: dict[str, Any]) -> Iterator[None]:
    """Have the host with these settings; afterwards it is as it was."""
    stage.converged()
    stage.site(settings=settings).deploy().ok()
    try:
        yield
    finally:
        stage.site().deploy().ok()


@drill.cell("told", fixed=True)
def told(stage: Stage) -> Figures:
    """After -p it is said on stderr who stood in for the lane's model, why, how often and for how much"""
    stage.converged()

    def says() -> str:
        said = _said(HELLO)
        assert STOOD_IN.search(said), said
        return next(line for line in said.splitlines() if STOOD_IN.search(line))

    local_again(kinds(urls(stage))["lm_studio"])
    quiet = must_fail(says, "the local server there")
    with _away(stage):
        line = says()
        asked = audit()[-1]["cost_usd"]
    assert asked, "the audit has no price"
    return {"stderr": line, "control": quiet}


@drill.cell("task")
def task(stage: Stage) -> Figures:
    """A task of systemd says the same in its journal"""
    stage.converged()
    unit = "claude-task@spending.service"
    write = 'mkdir -p ~/.config/claude-tasks && printf \'lane = "local"\\nprompt = "say hello"\\n\''
    looks.answer(f"{write} > ~/.config/claude-tasks/spending.toml")
    try:
        with _away(stage):
            looks.answer(f"systemctl --user start {unit}")
            journal = f"journalctl --user -u {unit} -o cat --no-pager"

            def line() -> str:
                return next((each for each in looks.answer(journal).splitlines() if " in place of local " in each), "")

            assert wait_until(lambda: bool(line()), 90, 1), looks.answer(journal)
            return {"journal": line()}
    finally:
        looks.answer(f"rm -f ~/.config/claude-tasks/spending.toml; systemctl --user reset-failed {unit} || true")


@drill.cell("called")
def called(stage: Stage) -> Figures:
    """The third answer that is billed for one cause in ten minutes has the doctor look at once, and tell it"""
    stage.converged()
    since = looks.answer("date +%s")
    journal = f"journalctl --user -u claude-doctor.service --since @{since} -o cat --no-pager"

    def tells() -> None:
        assert wait_until(lambda: "were billed in place of local" in looks.answer(journal), 60, 1), looks.answer(
            journal
        )

    with _away(stage):
        for _ in range(3):
            _said(HELLO)
        tells()
    line = next(each for each in looks.answer(journal).splitlines() if "were billed in place of local" in each)
    return {"journal of claude-doctor": line.strip()[:160]}


@drill.cell("asks")
def asks(stage: Stage) -> Figures:
    """With fallbacks = "ask" nothing is billed before somebody allows it: in -p, at a terminal, at its start"""
    figures: dict[str, object] = {}
    with _deployed(stage, {"lanes": {"local": {"fallbacks": "ask"}}}), _away(stage):
        before = len(audit())
        refused = _said(HELLO, status=1)
        assert "this lane asks before anything else is billed" in refused, refused
        assert not any(line["cost_usd"] for line in audit(before)), "it was billed all the same"
        figures["-p"] = "refused, nothing billed"
        session = re.search(r"claude-switch allow ([0-9a-f-]{36})", refused)
        assert session, refused
        looks.answer(f"claude-switch allow {session[1]}")
        found = _said(f"claude-local -p --resume {session[1]} 'say hello'")
        assert STOOD_IN.search(found), found
        figures["allowed"] = "its session is answered, and told"
        another = _said(HELLO, status=1)
        assert "this lane asks" in another, another
        for typed, words in (("n", "asks before anything else is billed"), ("y", "Hello from simulated Anthropic")):
            with _at_the_question(typed) as terminal:
                terminal.type("say hello")
                terminal.first(words)
            figures[f"{typed} at the start"] = words
        with _at_the_question("n") as terminal:
            terminal.type("say hello")
            line = terminal.line("claude-switch allow")
            ident = re.search(r"claude-switch allow ([0-9a-f-]{36})", terminal.screen().replace("\n", " "))
            terminal.type(f"! claude-switch allow {ident[1] if ident else ''}".rstrip())
            terminal.first("may be billed in its model's place")
            terminal.type("say hello once more")
            terminal.first("Hello from simulated Anthropic")
            figures["allowed behind a !"] = line[:80]
    return figures


class _Asked(Claude):
    """A session whose launcher asks first."""

    def __init__(self, typed: str) -> None:
        super().__init__("claude-local")
        self._typed = typed

    def first(self, *words: str, seconds: float = 60) -> str:
        if self._typed:
            typed, self._typed = self._typed, ""
            super().first("[y/N]")
            self.type(typed)
        return super().first(*words, seconds=seconds)


def _at_the_question(typed: str) -> Claude:
    return _Asked(typed)


@drill.cell("budget")
def budget(stage: Stage) -> Figures:
    """A used-up budget ends what bills in another's place, over restarts; local work goes on, and "all" ends all"""
    figures: dict[str, object] = {}
    stage.converged()
    spent = _spent()
    limit = round(spent + 0.004, 4)  # what is cached costs a tenth
    with _deployed(stage, {"budgets": {"all": {"usd": limit}}}):
        with _away(stage):
            answers = 0
            while answers < 24:
                done = hosts.run(HOST, f"{HELLO} </dev/null", user="claude", check=False, timeout=240)
                if done.returncode:
                    break
                answers += 1
            said = done.stdout + done.stderr
            assert f"the budget of {limit:g} USD a day for this host is used up" in said, said
            figures["ended"] = f"after {answers} answers, at {_spent():.4f} of {limit:g} USD"
            looks.answer(f"{AS_KEEPER} restart litellm.service", user="root")
            assert looks.gateway_within(120)
            again = _said(HELLO, status=1)
            assert "is used up" in again, again
            figures["after a restart"] = "refused"
            assert wait_until(lambda: _budgets()[0]["spent"] >= limit, 10, 0.5), _budgets()
        local = looks.answer(HELLO)
        assert "Hello from simulated LM Studio" in local, local
        figures["local again"] = local[:40]
        cloud = looks.answer("claude-cloud -p 'say hello'")
        assert "Hello from simulated Anthropic" in cloud, cloud
        figures["a lane that bills anyway"] = "goes on"
        status = hosts.run(HOST, "claude-doctor 2>&1", user="claude", check=False).stdout
        assert "budget of this host are spent" in status, status
        stage.site(settings={"budgets": {"all": {"usd": limit, "stops": "all"}}}).deploy().ok()
        stopped = _said("claude-cloud -p 'say hello'", status=1)
        assert "is used up" in stopped, stopped
        figures['stops = "all"'] = "claude-cloud is refused"
        assert "Hello from simulated LM Studio" in looks.answer(HELLO)
    assert "Hello from simulated Anthropic" in looks.answer("claude-cloud -p 'say hello'")
    return figures


def _spent() -> float:
    day = looks.answer("date -u +%Y-%m-%d")
    return float(sum(line["cost_usd"] or 0 for line in audit() if line["time"].startswith(day)))


def _budgets() -> list[dict[str, Any]]:
    return list(json.loads(looks.answer("cat /var/lib/signalbox/audit/budgets.json"))["budgets"])


@drill.cell("payer")
def payer(stage: Stage) -> Figures:
    """A server at a public address without a payer is refused before anything is changed; with one it is told"""
    stage.converged()
    at = {"kind": "openai_compatible", "url": "https://192.88.99.1/api", "models": {"far": {"id": "far"}}}
    before = looks.answer("stat -c %Y /etc/signalbox/lanes.json", user="root")
    refused = stage.site(settings={"backends": {"far": at}}).deploy()
    assert refused.status != 0, refused.stderr[-2000:]
    line = next(each for each in refused.stderr.splitlines() if "backends.far.url" in each)
    assert looks.answer("stat -c %Y /etc/signalbox/lanes.json", user="root") == before
    slots = dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "far")
    named = {"backends": {"far": {**at, "payer": "the account at far"}}, "lanes": {"local": {"models": slots}}}
    with _deployed(stage, named):
        listed = looks.answer("claude-switch list")
        assert re.search(r"^local .* bills the account at far$", listed, re.MULTILINE), listed
    return {"refused": line.strip()[-120:], "with a payer": "claude-local bills the account at far"}


# What a request may bring along, by LiteLLM's and OpenRouter's own words, so that another answers and bills.
KEY_OF = "/usr/local/lib/signalbox/launcher/launch.py key"
BROUGHT: tuple[dict[str, Any], ...] = (
    {"fallbacks": ["claude-opus-4-8"]},
    {"fallbacks": [{"model": "claude-opus-4-8"}]},
    {"models": ["claude-opus-4-8"], "route": "fallback"},
    {"context_window_fallback_dict": {"local": "claude-opus-4-8"}},
)


@drill.cell("reported")
def reported(stage: Stage) -> Figures:
    """What people report to be billed for: fallbacks in the request, a name that is not there, a key left behind"""
    stage.converged()
    figures: dict[str, object] = {}
    before = len(audit())
    with _away(stage):
        for brought in BROUGHT:
            looks.answer(f"{_asking({'model': 'local', **brought})} >/dev/null")
    billed = {line["model"] for line in audit(before) if line["cost_usd"]}
    assert billed <= {FALLBACK}, f"a request has its own fallback answer: {billed}"
    figures["fallbacks in the request"] = f"billed: {', '.join(sorted(billed)) or 'nobody'}"
    before = len(audit())
    answer = looks.answer(_asking({"model": "claude-sonnet-4-5"}))
    assert "Invalid model name" in answer, answer
    assert not any(line["cost_usd"] for line in audit(before))
    figures["a name that is not there"] = "refused, nobody billed"
    local_again(kinds(urls(stage))["lm_studio"])
    before = len(audit())
    told = _said("ANTHROPIC_API_KEY=sk-ant-left-behind claude-local -p 'say hello'")
    assert "ANTHROPIC_API_KEY; it is not used here; take it out" in told, told
    assert not any(line["cost_usd"] for line in audit(before))
    figures["a key left behind"] = "named, not used"
    return figures


def _asking(body: dict[str, Any]) -> str:
    """Return a command of the service user that asks the gateway this."""
    whole = {"max_tokens": 20, "messages": [{"role": "user", "content": "say hello"}], **body}
    headers = f"-H \"authorization: Bearer $({KEY_OF} local)\" -H 'content-type: application/json'"
    return f"curl -s -m 100 {headers} http://127.0.0.1:4000/v1/messages -d {looks.quoted(json.dumps(whole))}"
