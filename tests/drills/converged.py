"""A clean plan and a run without changes are one statement, and it is true."""

from __future__ import annotations

from collections.abc import Callable

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import TAMPERS, Tamper

drill = Drill(
    "converged",
    "what is converged stays untouched, and what drifts is named and healed",
    "A second `pyinfra INVENTORY deploy.py -y` reports no change in any operation, and so does `--dry`. `--dry` "
    "against a bare host finishes without an error and lists what would be done.",
)

BARE = lab_host("bare")
GATEWAY_SECONDS = 60


@drill.cell("second-run", fixed=True)
def second_run(stage: Stage) -> Figures:
    """A second run changes nothing: by its own word, on the disk, and in what runs; a plan names nothing."""
    site = stage.converged()

    def nothing_changes() -> Figures:
        running = looks.started()
        looks.mark()
        again = site.deploy().ok()
        changed, written = again.changed(HOST), looks.written()
        assert not changed, changed
        assert not written, f"files were written: {written}"
        assert looks.started() == running, "a service was restarted"
        plan = site.plan().ok()
        assert not plan.planned(HOST), plan.planned(HOST)
        return {
            "operations": again.count(HOST),
            "changed": len(changed),
            "files written": len(written),
            "run": f"{again.seconds:.1f} s",
            "plan": f"{plan.seconds:.1f} s",
        }

    figures = nothing_changes()
    looks.answer("rm /etc/signalbox/lanes.json", user="root")
    control = must_fail(nothing_changes, "lanes.json removed")
    assert not site.deploy().ok().changed(HOST)
    return {**figures, "control": control}


@drill.cell("dry-bare")
def dry_bare(stage: Stage) -> Figures:
    """A plan of a bare host ends without an error, lists what would be done, and does none of it."""
    stage.bare(BARE)
    looks.mark(host=BARE)
    plan = stage.site(BARE).plan().ok()
    planned = plan.planned(BARE)
    for part in ("Base", "Service user", "Rootless Docker", "Toolchain", "Secrets", "Gateway", "Launchers"):
        assert any(name.startswith(part) for name in planned), f"nothing of {part} is planned: {planned}"
    written = looks.written(host=BARE)
    assert not written, f"the plan wrote files: {written}"
    looks.answer("touch /etc/drill", host=BARE, user="root")
    assert looks.written(host=BARE), "control: a file that was written is not seen"
    stage.discard(BARE)
    return {"operations planned": len(planned), "files written": 0, "plan": f"{plan.seconds:.1f} s"}


def _cell(tamper: Tamper) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        site = stage.converged()

        def sound() -> None:
            looks.answer(tamper.sound, user="root")

        sound()
        looks.answer(tamper.drift, user="root")
        control = must_fail(sound, "the drift")
        planned = site.plan().ok().planned(HOST)
        named = [name for name in planned if all(words in name for words in tamper.named)]
        assert named, f"the plan names {planned or 'nothing'}"
        healing = site.deploy().ok()
        sound()
        looks.user_units()
        assert looks.gateway_within(GATEWAY_SECONDS), "the gateway does not answer after the healing run"
        again = site.deploy().ok().changed(HOST)
        assert not again, f"the run after the healing one changes {again}"
        pending = site.plan().ok().planned(HOST)
        assert not pending, f"the plan after the healing run names {pending}"
        return {
            "named": named[0],
            "healed": f"{len(healing.changed(HOST))} changes in {healing.seconds:.1f} s",
            "next run": "no change",
            "control": control,
        }

    body.__doc__ = f"Drift is named and healed: {tamper.title}."
    return body


for _name, _tamper in TAMPERS.items():
    drill.cell(_name)(_cell(_tamper))
