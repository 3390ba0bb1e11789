"""What a check is, and how all of them are run and become findings that name causes and not their consequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from time import monotonic
from typing import Any

from ..shared.output import shown
from .host_context import KEEPER, Here


@dataclass(frozen=True)
class Finding:
    """Something that is not well.

    symptom: its id in symptoms.yaml. seen: what was seen here, without any secret. check, role: who found it.
    path: the file that it is about, "" for none. data: what a fix needs to know.
    subjects: what else it is about (packages, users, backends); (): the whole check.
    """

    symptom: str
    seen: str
    path: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    check: str = ""
    role: str = ""
    subjects: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What stays the same while figures in `seen` change."""
        return ":".join((self.symptom, self.path, *self.subjects))


MANY = 200  # findings of one check: more nobody reads
LONG = 2048  # characters of what one check has seen; more is cut

Look = Callable[[Here], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """One look at one thing.

    role: who can look. own: it looks at what belongs to the user who looks. heavy: it keeps a model busy. needs:
    checks whose failing explains what this one would find; "packages:nftables" is what that check found of nftables.
    """

    name: str
    title: str
    role: str
    needs: tuple[str, ...]
    look: Look
    heavy: bool = False
    own: bool = False


CHECKS: dict[tuple[str, str], Check] = {}


def check(*roles: str, needs: tuple[str, ...] = (), heavy: bool = False) -> Callable[[Look], Look]:
    """Register the decorated function, once for each role; its first docstring line is the check's title."""

    def register(look: Look) -> Look:
        title = (look.__doc__ or "").strip().splitlines()[0].rstrip(".")
        name = look.__name__.replace("_", "-")
        for role in roles:
            CHECKS[name, role] = Check(name, title, role, needs, look, heavy, KEEPER in roles)
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
        """Read what to_json returned. Raises KeyError, TypeError or ValueError where it cannot have."""
        if len(data["findings"]) > MANY:
            raise ValueError("too many findings")
        findings = tuple(_finding(each) for each in data["findings"])
        words = {name: _words(data[name]) for name in ("check", "role", "title", "problem")}
        told = cls(**{**data, **words, "seconds": float(data["seconds"]), "findings": findings})
        if any((each.check, each.role) != (told.check, told.role) for each in findings):
            raise ValueError("a finding of another check")
        return told


def _finding(data: dict[str, Any]) -> Finding:
    words = {name: _words(data[name]) for name in ("symptom", "seen", "check", "role")}
    told = Finding(**{**data, **words, "subjects": tuple(map(_words, data["subjects"]))})
    if not isinstance(told.path, str) or not isinstance(told.data, dict):
        raise TypeError("a finding has a path and data")
    return told


def _words(text: object) -> str:
    if not isinstance(text, str) or len(text) > LONG:
        raise TypeError("no words, or too many")
    return shown(text)


def look(here: Here) -> list[Outcome]:
    """Run all checks of these roles side by side; then heavy ones, unless something that they need has failed.

    A server that is not as it should be is asked for no answer (`here.unwell`): LM Studio would load a model for it.
    """
    chosen = [each for each in CHECKS.values() if each.role in here.roles and not (here.quick and each.heavy)]
    # An account with two roles is looked at once.
    chosen = list({each.name: each for each in chosen}.values())
    with ThreadPoolExecutor(max_workers=8) as pool:
        outcomes = list(pool.map(lambda each: _outcome(each, here), (each for each in chosen if not each.heavy)))
        found = [finding for each in outcomes for finding in each.findings]
        for each in chosen:
            causes = [finding for finding in found if finding.check in each.needs]
            if each.heavy and all(finding.subjects for finding in causes):
                unwell = frozenset(subject for finding in causes for subject in finding.subjects)
                outcomes.append(_outcome(each, replace(here, unwell=unwell)))
        return outcomes


def _outcome(each: Check, here: Here) -> Outcome:
    started = monotonic()
    found: list[Finding] = []
    problem = ""
    try:
        for one in islice(each.look(here), MANY):
            about = one.subjects or ((here.user,) if each.own else ())
            found.append(replace(one, seen=shown(one.seen)[:LONG], check=each.name, role=each.role, subjects=about))
    except Exception as error:  # one look that breaks must not hide what the others see
        problem = shown(f"{type(error).__name__}: {error}")[:LONG]
    return Outcome(each.name, each.role, each.title, tuple(found), problem, round(monotonic() - started, 3))


def causes(outcomes: Iterable[Outcome]) -> list[Finding]:
    """Return the findings that are not consequences of others, each once.

    A check that needs another one says nothing where that one found something, unless both name what they are about
    and it is not the same. A file that a finding is about is not told a second time as a file that was changed.
    """
    outcomes = list(outcomes)
    found: dict[str, list[Finding]] = {}
    for each in outcomes:
        found.setdefault(each.check, []).extend(each.findings)
    needs = {each.name: each.needs for each in CHECKS.values()}

    def explained(name: str, about: tuple[str, ...], seen: tuple[str, ...] = ()) -> bool:
        for need in needs.get(name, ()):
            other, _, one = need.partition(":")
            wanted = {one} if one else set(about)
            if any(not wanted or not each.subjects or wanted & {*each.subjects} for each in found.get(other, ())):
                return True
            if other not in seen and explained(other, about, (*seen, other)):
                return True
        return False

    left = [finding for each in outcomes for finding in each.findings if not explained(each.check, finding.subjects)]
    told = {finding.path for finding in left if finding.path and not finding.symptom.startswith("placed-")}
    once: dict[tuple[str, str], Finding] = {}
    for finding in left:
        if finding.symptom.startswith("placed-") and finding.path in told:
            continue
        once.setdefault((finding.symptom, finding.seen), finding)
    return list(once.values())
