"""Several hosts in one run: each gets its own settings, and one that is off fails alone."""

from __future__ import annotations

from typing import Any

from tests.drills import looks
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts

drill = Drill(
    "fleet",
    "several hosts in one run",
    "Two hosts with different settings converge in one run; a third that is switched off fails alone and is named.",
)

ONE, TWO, OFF = lab_host("one"), lab_host("two"), lab_host("off")
OTHER: dict[str, Any] = {
    "base": {"timezone": "Asia/Tokyo", "packages": ["git", "htop"]},
    "gateway": {"port": 4100},
    "lanes": {
        "solo": {
            "models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "alone"),
            "config_dir": "~/.claude-solo",
            "billed": "nobody",
        }
    },
}


def _switched_off(stage: Stage) -> None:
    stage.bare(OFF)
    looks.mark(host=OFF)
    hosts.poweroff(OFF)


def _failed_alone(run: Run, *others: str) -> str:
    """The run ended with 1, names the host that is off, and did all it had to do on the others."""
    assert run.status == 1, f"ended with {run.status}"
    assert run.failed() in ([OFF], []), run.failed()  # pyinfra lists there who failed after connecting
    for host in others:
        assert not run.failing(host), run.failing(host)
        assert run.count(host), f"nothing ran on {host}"
    named = [line.strip() for line in run.stderr.splitlines() if OFF in line]
    assert named, run.stderr[-2000:]
    return named[0]


def _untouched() -> None:
    hosts.up([OFF])
    looks.answer("! test -e /var/lib/signalbox && ! id claude", host=OFF, user="root")


@drill.cell("one-off", fixed=True)
def one_off(stage: Stage) -> Figures:
    """A host that is off fails alone and is named; the other is deployed to, and a run without it ends with 0."""
    stage.converged()
    _switched_off(stage)
    looks.answer("rm /etc/signalbox/lanes.json", user="root")
    run = stage.site(HOST, OFF).deploy()
    named = _failed_alone(run, HOST)
    looks.answer("test -s /etc/signalbox/lanes.json", user="root")
    control = must_fail(lambda: _failed_alone(stage.site(HOST).deploy(), HOST), "all hosts up")
    _untouched()
    stage.discard(OFF)
    return {
        "status": run.status,
        "named": named,
        "healed on the other": "; ".join(run.changed(HOST)),
        "control": control,
    }


@drill.cell("two-and-one-off")
def two_and_one_off(stage: Stage) -> Figures:
    """Two bare hosts converge in one run, each with its own settings, while a third is off."""
    stage.bare(ONE, TWO)
    _switched_off(stage)
    model = stage.site(ONE).settings["backends"]["lmstudio"]["models"]["local"]["id"]
    other = {**OTHER, "backends": {"lmstudio": {"models": {"alone": {"id": model, "context_length": 32768}}}}}
    first = stage.site(ONE, TWO, OFF, of_host={TWO: other}).deploy()
    named = _failed_alone(first, ONE, TWO)

    def settings(host: str, zone: str, port: int, present: str, absent: str) -> None:
        assert looks.answer("readlink -f /etc/localtime", host=host, user="root").endswith(zone)
        looks.gateway(host=host, port=port)
        there = " && ".join(f"command -v {each}" for each in present.split())
        looks.answer(f"{there} && ! command -v {absent}", host=host, user="root")

    utc = looks.answer("readlink -f /etc/localtime", host=ONE, user="root")
    settings(ONE, utc, 4000, "rg tmux", "claude-solo")
    settings(TWO, "Asia/Tokyo", 4100, "htop claude-solo", "rg")
    control = must_fail(lambda: settings(TWO, utc, 4000, "rg tmux", "claude-solo"), "the other host's settings")
    figures = {}
    for host, lane in ((ONE, "local"), (TWO, "solo")):
        stage.simulators.clear()
        figures[f"claude-{lane} on {host}"] = looks.answer(f"claude-{lane} -p 'say hello'", host=host)
        looks.served(stage, "lmstudio", "say hello")
    again = stage.site(ONE, TWO, of_host={TWO: other}).deploy().ok()
    assert not again.changed(ONE) + again.changed(TWO), again.changed(ONE) + again.changed(TWO)
    _untouched()
    stage.discard(ONE, TWO, OFF)
    return {
        "status": first.status,
        "named": named,
        "changed": f"{len(first.changed(ONE))} and {len(first.changed(TWO))} operations in {first.seconds:.0f} s",
        **figures,
        "next run of the two": f"no change in {again.seconds:.1f} s",
        "control": control,
    }
