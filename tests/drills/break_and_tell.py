"""Break a converged host: verify and claude-doctor name that cause and no other, and the cure cures it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import requests

from tests.drills import hostile_words as _hostile_words  # noqa: F401 (it registers its cells)
from tests.drills import looks
from tests.drills import verify_runs as _verify_runs  # noqa: F401 (it registers its cells)
from tests.drills.breaks import BREAKS, DEPLOY, FIX, Break
from tests.drills.deployment import Site
from tests.drills.drill import Figures
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.told import SETTLE_SECONDS, doctor, drill, named, reports, seen, verify, well, well_again
from tests.lab import hosts, services
from tests.lab.machine import wait_until

# Hosts that the cell before left well: what a look at the end saw need not be looked at again.
_WELL: set[str] = set()
LOOKS = 5
TEN = [HOST, *(lab_host(f"t{number}") for number in range(1, 10))]


def _break(stage: Stage, one: Break, host: str = HOST) -> None:
    if one.do:
        cloud = urlsplit(services.lab_settings()["clouds"]["anthropic"]["url"])
        looks.answer(one.do.replace("{cloud_port}", str(cloud.port)).replace("{cloud}", str(cloud.hostname)),
                     host=host, user="root")  # fmt: skip
    told = dict(one.simulate)
    if "fault" in told:
        stage.simulators.fault("lmstudio", told.pop("fault"), **told)
    elif "load" in told:
        url = services.lab_settings()["backends"]["lmstudio"]["url"]
        verb = "load" if "model" in told["load"] else "unload"
        requests.post(f"{url}/api/v1/models/{verb}", json=told["load"], timeout=10).raise_for_status()
    elif told:
        stage.simulators.options("lmstudio", **told)


def _cure(stage: Stage, site: Site, one: Break, host: str = HOST) -> str:
    if one.simulate:
        stage.simulators.clear()
        return "the server was put right"
    if one.cure == DEPLOY:
        started = time.monotonic()
        site.deploy().ok()
        return f"deploy, {time.monotonic() - started:.1f} s"
    if one.cure == FIX:
        _, answer = doctor("root", "--fix", host=host)
        assert answer["fixed"], "claude-doctor --fix did nothing"
        return f"claude-doctor --fix: {answer['fixed'][0]['done']}"
    looks.answer(one.cure, host=host, user="root")
    return "by hand"


def told(stage: Stage, site: Site, one: Break, host: str = HOST) -> Figures:
    """Break the host, have it named, cure it, and have it well again."""
    if host not in _WELL:
        well_again(site)
    _WELL.discard(host)
    try:
        _break(stage, one, host)
        control = named(site, one, host)
    except BaseException:
        _cure(stage, site, one, host)
        raise
    cured = _cure(stage, site, one, host)
    well_again(site)
    _WELL.add(host)
    return {"named": one.symptom, "cured": cured, "control": control}


def _cell(one: Break) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        return told(stage, stage.converged(), one)

    body.__doc__ = f"{one.title[0].upper()}{one.title[1:]}."
    return body


@drill.cell("healthy")
def healthy(stage: Stage) -> Figures:
    """A healthy host: no finding, in at most 5 s, and nothing is written there or asked of a cloud."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    looks.mark()
    status, report = verify(site)
    well(report)
    # The gateway notes the requests to the local model, as it notes every one.
    written = [path for path in looks.written() if not path.startswith("/var/lib/signalbox/audit")]
    assert not written, f"verify left {written}"
    assert not looks.chats(stage, "anthropic"), "a cloud was asked for an answer"
    assert looks.chats(stage, "lmstudio"), "no local model was asked"
    seconds = min(_timed(site) for _ in range(LOOKS))
    assert seconds < 5, f"{seconds:.1f} s, load {_load()}"
    status, answer = doctor("claude")
    assert (status, answer["findings"]) == (0, []), seen(answer)
    return {
        "checks": len(report["checks"]),
        f"the whole command, best of {LOOKS}": f"{seconds:.1f} s",
        "load average": _load(),
    }


@drill.cell("ten-hosts")
def ten_hosts(stage: Stage) -> Figures:
    """Ten healthy hosts: no finding, in at most 15 s."""
    stage.converged()
    copies = TEN[1:]
    if not all(map(hosts.exists, copies)):
        stage.discard(*copies)
        hosts.poweroff(HOST)
        hosts.clone(HOST, copies)
        stage.up(*TEN)
        stage.site(*TEN).deploy().ok()  # each copy is a host of its own: its keys are encrypted anew
    stage.up(*TEN)
    site = stage.site(*TEN)

    def all_well() -> None:
        all_of_them = reports(site)[1]
        assert len(all_of_them) == len(TEN), [each["host"] for each in all_of_them]
        for report in all_of_them:
            well(report)

    last = ""

    def settled() -> bool:
        nonlocal last
        last = "; ".join(f"{each['host']}: {seen(each)}" for each in reports(site)[1] if each["verdict"] != "ok")
        return not last

    assert wait_until(settled, 2 * SETTLE_SECONDS, 1), last
    took = []
    for _ in range(LOOKS):
        started = time.monotonic()
        all_well()
        took.append(time.monotonic() - started)
    assert min(took) < 15, f"{took} s, load {_load()}"
    figures = {"hosts": len(TEN), f"the whole command, best of {LOOKS}": f"{min(took):.1f} s", "load average": _load()}
    stage.discard(*copies)
    return figures


def _timed(site: Site) -> float:
    """Return how many seconds of wall clock `signalbox verify` takes as a person waits for it; it must find nothing."""
    started = time.monotonic()
    _, report = verify(site)
    seconds = time.monotonic() - started
    well(report)
    return seconds


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


for _name, _one in BREAKS.items():
    drill.cell(_name, fixed=_name == "api-key")(_cell(_one))
