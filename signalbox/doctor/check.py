"""What a check is, and how all of them are run and become findings that name causes and not their consequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from .here import Here


@dataclass(frozen=True)
class Finding:
    """Something that is not well.

    symptom: its id in symptoms.yaml. seen: what was seen here, without any secret. check, role: who found it.
    path: the file that it is about, "" for none. data: what a fix needs to know.
    """

    symptom: str
    seen: str
    path: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    check: str = ""
    role: str = ""


Look = Callable[[Here], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """One look at one thing.

    role: who can look. needs: checks whose failing explains what this one would find. heavy: it keeps a model busy.
    """

    name: str
    title: str
    role: str
    needs: tuple[str, ...]
    look: Look
    heavy: bool = False


CHECKS: dict[tuple[str, str], Check] = {}


def check(*roles: str, needs: tuple[str, ...] = (), heavy: bool = False) -> Callable[[Look], Look]:
    """Register the decorated function, once for each role; its first docstring line is the check's title."""

    def register(look: Look) -> Look:
        title = (look.__doc__ or "").strip().splitlines()[0].rstrip(".")
        name = look.__name__.replace("_", "-")
        for role in roles:
            CHECKS[name, role] = Check(name, title, role, needs, look, heavy)
        return look

    return register


@dataclass(frozen=True)
class Outcome:
    """What one check came to. problem: why it could not look, "" when it could."""

    check: str
    role: str
    title: str
    findings: tuple[Finding, ...]
    problem: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Read what to_json returned."""
        return cls(**{**data, "findings": tuple(Finding(**each) for each in data["findings"])})


def look(here: Here) -> list[Outcome]:
    """Run all checks of these roles side by side; then heavy ones, unless something that they need has failed.

    A server that is not as it should be is asked for no answer: LM Studio would load a model for it on demand.
    """
    chosen = [each for each in CHECKS.values() if each.role in here.roles and not (here.quick and each.heavy)]
    # An account with two roles is looked at once.
    chosen = list({each.name: each for each in chosen}.values())
    with ThreadPoolExecutor(max_workers=8) as pool:
        outcomes = list(pool.map(lambda each: _outcome(each, here), (each for each in chosen if not each.heavy)))
        failed = {each.check for each in outcomes if each.findings}
        sound = [each for each in chosen if each.heavy and not failed.intersection(each.needs)]
        return outcomes + list(pool.map(lambda each: _outcome(each, here), sound))


def _outcome(each: Check, here: Here) -> Outcome:
    started = monotonic()
    found: list[Finding] = []
    problem = ""
    try:
        for one in each.look(here):
            found.append(Finding(one.symptom, one.seen, one.path, one.data, each.name, each.role))
    except Exception as error:  # one look that breaks must not hide what the others see
        problem = f"{type(error).__name__}: {error}"
    return Outcome(each.name, each.role, each.title, tuple(found), problem, round(monotonic() - started, 3))


def causes(outcomes: Iterable[Outcome]) -> list[Finding]:
    """Return the findings that are not consequences of others, each once.

    A check that needs another one says nothing where that one found something; and a file that a finding is
    about is not told a second time as a file that was changed.
    """
    outcomes = list(outcomes)
    failed = {each.check for each in outcomes if each.findings}
    needs = {each.name: each.needs for each in CHECKS.values()}

    def explained(name: str, seen: tuple[str, ...] = ()) -> bool:
        return any(
            need in failed or (need not in seen and explained(need, (*seen, need))) for need in needs.get(name, ())
        )

    left = [finding for each in outcomes if not explained(each.check) for finding in each.findings]
    told = {finding.path for finding in left if finding.path and not finding.symptom.startswith("placed-")}
    once: dict[tuple[str, str], Finding] = {}
    for finding in left:
        if finding.symptom.startswith("placed-") and finding.path in told:
            continue
        once.setdefault((finding.symptom, finding.seen), finding)
    return list(once.values())
