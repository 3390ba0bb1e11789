"""How long what was said in sessions is kept: in a lane, and by plain Claude Code."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.drills import failures, looks
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import services

AGES = (40, 400, 2000)  # days
LONG = "use the Bash tool to run `sleep 20`"
SETTINGS = "~/.claude/settings.json"
BAD = {"permissions": {"defaultMode": "nonsense"}}


@dataclass(frozen=True)
class Kept:
    """Whose conversations: the configuration directory, the command, and what its model says."""

    config: str
    command: str
    says: str

    @property
    def transcripts(self) -> str:
        """The directory of those of the drill's sessions."""
        return f"{self.config}/projects/-home-claude-drill-inside"

    def hello(self, *words: str) -> str:
        """Say hello in the drill's directory, and return what the model says."""
        asked = f"mkdir -p ~/drill-inside && cd ~/drill-inside && {self.command} -p 'say hello' {' '.join(words)}"
        return looks.answer(f"{asked} < /dev/null")

    def aged(self) -> dict[int, str]:
        """Have conversations of these ages in days, and return their sessions."""
        self.hello()
        newest = looks.answer(f"ls -t {self.transcripts}/*.jsonl | head -n1")
        session = newest.rsplit("/", 1)[1].removesuffix(".jsonl")
        aged: dict[int, str] = {}
        for days in AGES:
            aged[days] = f"{days:08d}-0000-4000-8000-000000000000"
            copy = f"{self.transcripts}/{aged[days]}.jsonl"
            looks.answer(f"sed 's/{session}/{aged[days]}/g' {newest} > {copy} && touch -d '{days} days ago' {copy}")
        return aged

    def left(self, aged: dict[int, str], *, swept: bool = True) -> list[int]:
        """Return the ages of those that are there still, after a run that is long enough for a sweep.

        Claude Code sweeps once a day, 5 s after the start of a -p run, at a terminal after ten minutes at the least.
        """
        looks.answer(f"rm -f {self.config}/.last-cleanup")
        run = f"{self.command} --allowedTools Bash -p {looks.quoted(LONG)}"
        looks.answer(f"cd ~/drill-inside && {run} < /dev/null")
        if swept:
            looks.answer(f"ls {self.config}/.last-cleanup")
        there = looks.answer(f"ls {self.transcripts}")
        return [days for days, session in aged.items() if session in there]

    def all_left(self, aged: dict[int, str]) -> None:
        """AssertionError unless all are there still."""
        left = self.left(aged)
        assert left == list(AGES), f"of {AGES} only {left} are left"


LANE = Kept("~/.claude-local", "claude-local", "Hello from simulated LM Studio")


def transcripts(stage: Stage) -> Figures:
    """What was said 40, 400 and 2000 days ago is there and goes on; with keep_days = 5 the old ones go."""
    site = stage.converged()
    aged = LANE.aged()
    LANE.all_left(aged)
    for session in aged.values():
        told = LANE.hello("--resume", session)
        assert LANE.says in told, told
    stage.site(settings={"sessions": {"keep_days": 5}}).deploy().ok()
    try:
        aged = LANE.aged()
        control = must_fail(lambda: LANE.all_left(aged), "keep_days = 5")
        assert LANE.left(aged) == [], "old ones stay"
        chosen = json.loads(looks.answer(f"cat {SETTINGS}"))["cleanupPeriodDays"]
        assert chosen == 5, f"plain Claude Code keeps {chosen} days"
    finally:
        site.deploy().ok()
        LANE.hello()
    return {"days old": ", ".join(map(str, AGES)), "each": "is there, and goes on", "control": control}


def plain(stage: Stage) -> Figures:
    """Plain Claude Code keeps what was said where the person has set nothing; a bad value elsewhere deletes nothing."""
    site = stage.converged()
    server = failures.urls(stage)["anthropic"]
    key = "ANTHROPIC_API_KEY=$(cat ~/.drill-key)"
    # Not by the settings: they may be void.
    variables = f"ANTHROPIC_BASE_URL={server} ANTHROPIC_MODEL=claude-haiku-4-5 {key}"
    mine = Kept("~/.claude", f"env {variables} ~/.local/bin/claude", "simulated Anthropic")
    before = looks.answer(f"cat {SETTINGS} 2>/dev/null || true")
    own = {"includeCoAuthoredBy": False}
    figures: dict[str, object] = {}
    try:
        secret = services.environment()["ANTHROPIC_DIRECT_KEY"]  # the simulator's, made up
        looks.answer(f"(umask 077; printf %s {looks.quoted(secret)} > ~/.drill-key)")
        _put(own)
        planned = [each for each in site.plan().ok().planned(HOST) if "plain claude keeps" in each]
        assert planned, "the plan does not name it"
        site.deploy().ok()
        assert _chosen() == {**own, "cleanupPeriodDays": 3650}, _chosen()
        assert not site.plan().ok().planned(HOST)
        aged = mine.aged()
        mine.all_left(aged)
        # One bad value voids the whole file.
        _put({**_chosen(), **BAD})
        assert not site.plan().ok().planned(HOST)
        assert mine.left(aged, swept=False) == list(AGES), "a bad value elsewhere has cost old conversations"
        _put({**own, "cleanupPeriodDays": 7})
        assert not site.plan().ok().planned(HOST), "the person's own choice is changed"
        figures["control"] = must_fail(lambda: mine.all_left(aged), "a person's cleanupPeriodDays = 7")
    finally:
        looks.answer("rm -f ~/.drill-key")
        looks.answer(f"printf %s {looks.quoted(before)} > {SETTINGS}" if before else f"rm -f {SETTINGS}")
        site.deploy().ok()
    return {"planned": "; ".join(planned), "a bad value": "nothing is deleted", **figures}


def _put(settings: dict[str, object]) -> None:
    looks.answer(f"printf %s {looks.quoted(json.dumps(settings))} > {SETTINGS}")


def _chosen() -> object:
    return json.loads(looks.answer(f"cat {SETTINGS}"))
