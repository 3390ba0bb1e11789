"""Hosts as people have them: each state of the zoo on a host of its own, deployed to, cured, and given back."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from signalbox.settings.layers import merge
from tests.drills.deployment import Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.inspection import Inspection, inspect_inside
from tests.drills.remove import LEFT
from tests.drills.stage import Stage, lab_host
from tests.lab import hosts, zoo
from tests.lab.zoo import State

drill = Drill(
    "found",
    "hosts as people have them: it works, or is refused before anything is changed, with the next step",
    "Each state of the zoo (tests/lab/zoo), on a host of its own: the outcome that is written beside it, with its words"
    " whole; nothing is changed where it is refused; after the cure that the words tell, the deploy succeeds, a second"
    " one changes nothing, and remove.py gives back what was there.",
)

FOUND = lab_host("found")
# What a host does by itself between two looks.
MOVING = re.compile(
    r"file /(var/log|run|var/cache|var/backups)(/.*)?|file /var/lib/(systemd/(timers|random-seed|catalog).*|dhcp.*)"
    r"|file /etc/(resolv\.conf|machine-id|passwd-|group-|shadow-|gshadow-|subuid-|subgid-)"
    r"|unit (user-runtime-dir@|user@|session-|run-|systemd-(hostnamed|timedated|tmpfiles)|ssh@|sshd@|apt-|dpkg-).*"
    r"|file /var/lib/(wtmpdb|private|fail2ban)(/.*)?|file /root/(\.cache|\.local|\.ssh)(/.*)?|file /var/lib/apt(/.*)?"
    r"|sysctl (kernel\.(random|ns_last|pid|tainted)|fs|net\.netfilter\.nf_conntrack_count|net\.ipv[46]\.neigh).*"
)
AT_ONCE = ("cpu-kvm64", "hidepid", "no-tun", "home-elsewhere", "apt-malformed", "web-server")


def _said(run: Run) -> str:
    return " ".join(run.stderr.split())


def _told(run: Run, words: Sequence[str]) -> None:
    """AssertionError unless the run has said all of these."""
    said = _said(run)
    filled = [" ".join(each.format(host=FOUND, address=hosts.address(FOUND)).split()) for each in words]
    missing = [each for each in filled if each not in said]
    assert not missing, f"not said: {missing}\n{run.stderr[-4000:]}"


def _same(before: Inspection, after: Inspection, *but: str) -> int:
    """AssertionError where something is other than it was, beside what moves by itself. Returns how many were so."""
    allowed = [MOVING, *map(re.compile, but)]
    found = [each for each in after.since(before)
             if not any(rule.fullmatch(f"{each.kind} {each.name}") for rule in allowed)]  # fmt: skip
    assert not found, f"{len(found)} are other than before:\n" + "\n".join(map(str, found[:100]))
    return sum(map(len, before.things.values()))


def _refused(run: Run, words: Sequence[str], before: Inspection) -> int:
    """AssertionError unless the run has failed with these words, and has changed nothing."""
    assert run.status == 1, f"it ended with {run.status}:\n{run.stderr[-3000:]}"
    _told(run, words)
    return _same(before, inspect_inside(FOUND))


def _site(stage: Stage, states: Sequence[State], *, cured: bool) -> Site:
    of_host: dict[str, object] = {}
    settings: dict[str, object] = {}
    for state in states:
        settings = merge(settings, state.light)
        of_host = merge(merge(of_host, dict(state.settings)), dict(state.told) if cured else {})
    for state in states:  # what one of them bears on is on
        settings = {name: value for name, value in settings.items() if name not in state.sections}
    return stage.site(FOUND, settings=settings, of_host={FOUND: of_host})


def _inside(script: str) -> str:
    done = subprocess.run(
        hosts.inside(FOUND, "sh", "-ec", script), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{script!r} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def _up(stage: Stage, *names: str) -> list[State]:
    states = zoo.chosen(names)
    stage.bare(FOUND, states=states)
    return states


def play(stage: Stage, name: str) -> Figures:
    """Deploy to a host in this state, cure it as the words tell, deploy twice, and give it back."""
    (state,) = _up(stage, name)
    figures: dict[str, object] = {"outcome": state.outcome}
    before = inspect_inside(FOUND)
    site = _site(stage, [state], cured=False)
    if state.outcome == "refused":
        figures["nothing changed of"] = _refused(site.deploy(), state.words, before)
        if not (state.cure or state.told):
            stage.discard(FOUND)
            return figures
        if state.cure:
            _inside(state.cure)
        site, before = _site(stage, [state], cured=True), inspect_inside(FOUND)
    run = site.deploy().ok()
    if state.outcome == "warned":
        _told(run, state.words)
    figures["changed"] = len(run.changed(FOUND))
    again = site.deploy().ok().changed(FOUND)
    assert not again, f"a second deploy changes {again}"
    if state.proves:
        _inside(state.proves)
        figures["proven"] = state.proves
    site.remove("-y", "--data", "remove.homes=true").ok()
    figures["given back"] = _same(before, inspect_inside(FOUND), *LEFT.values())
    stage.discard(FOUND)
    return figures


@drill.cell("at-once", fixed=True)
def at_once(stage: Stage) -> Figures:
    """One deploy tells all that stands in its way, before anything is changed: a processor, /proc, a device, a home…"""
    states = _up(stage, *AT_ONCE)
    before = inspect_inside(FOUND)
    words = [each for state in states if state.name != "web-server" for each in state.words]
    run = _site(stage, states, cured=False).deploy()
    compared = _refused(run, words, before)
    control = must_fail(lambda: _told(run, zoo.STATES["container-65536"].words), "the words of another state")
    stage.discard(FOUND)
    return {"told at once": len(words), "nothing changed of": compared, "control": control}


def _of(state: State) -> None:
    def body(stage: Stage) -> Figures:
        return play(stage, state.name)

    body.__doc__ = f"{state.found[0].upper()}{state.found[1:]} ({state.source})"
    drill.cell(state.name)(body)


for each in zoo.STATES.values():
    _of(each)
