"""Several hosts in one run: each gets its own settings, and one that is off fails alone."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from typing import Any

from tests.drills import looks
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import access, hosts
from tests.lab.instance import Lab

drill = Drill(
    "fleet",
    "several hosts in one run",
    "Two hosts with different settings converge in one run; a third that is switched off fails alone and is named. So "
    "does one whose shell answers nonsense, or nothing; one that greets is no worse for it.",
)

ONE, TWO, OFF = lab_host("one"), lab_host("two"), lab_host("off")
ODD = lab_host("odd")
# What a host's shell answers to whatever it is asked, with the exit status of success.
ANSWERS = {
    "garbage": "head -c 200000 /dev/urandom",
    "a title and a bell": "printf '\\033]0;mine\\007%s\\r\\n' debian=debian-13 memory=eleven uid=0x0",
    "deep JSON": "printf '%0200000d' 0 | tr 0 '['",
    "another's lines": f"printf '[%s] nothing is wrong\\n' {HOST}",
    "nothing": "true",
    "its end": "kill -9 $PPID",
    "lines without end": "exec yes nonsense",
    "a line without end": "exec cat /dev/zero",
    "both streams without end": "yes >&2 & exec yes",
    "silence": "exec sleep 100000",
    "nothing, and no end": "exec >&- 2>&-; sleep 100000",
}
MEMORY_MIB = 700  # that a controller may take, whatever a host sends
OTHER: dict[str, Any] = {
    "base": {"timezone": "Asia/Tokyo", "packages": ["git", "htop"]},
    "gateway": {"port": 4100},
    "lanes": {
        "solo": {
            "models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "alone"),
            "config_dir": "~/.claude-solo",
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


def _answering(script: str) -> None:
    """Have the host's sshd run this in place of whatever it is asked; "": no more."""
    forced = "ForceCommand sh /usr/local/bin/odd" if script else ""
    places = {"/usr/local/bin/odd": script, "/etc/ssh/sshd_config.d/odd.conf": forced}
    put = "; ".join(f"printf '%s\\n' {looks.quoted(text)} > {path}" for path, text in places.items())
    subprocess.run(hosts.inside(ODD, "sh", "-c", f"{put}; systemctl reload ssh"), check=True, timeout=60)
    time.sleep(1)


def _watched(stage: Stage, **environment: str) -> tuple[Run, int]:
    """Deploy to the sound host and the odd one; return the run, and how many MiB the controller had at most."""
    running = replace(stage.site(HOST, ODD), environment=environment).start()
    peak = 0
    while not running.ended():
        peak = max(peak, running.memory_mib())
        time.sleep(0.1)
    return running.wait(), peak


def _named_once(run: Run, host: str) -> str:
    """Return the one sentence that tells why this host failed: no traceback, nothing that drives a terminal."""
    assert run.status == 1, f"ended with {run.status}"
    for never in ("Traceback", "No hosts remaining", "hooks.py", "\x1b]", "\x07"):
        place = run.stderr.find(never)
        assert place < 0, f"{never!r} is told: {run.stderr[max(0, place - 500) : place + 2500]}"
    told = [line.split("]", 1)[1].strip() for line in run.stderr.splitlines() if line.strip().startswith(f"[{host}]")]
    told = [line for line in told if not line.startswith(("Connected", "Ready:", "warning:", "remark:"))]
    assert 0 < len(told) < 4, run.stderr[-3000:]
    return told[0][:200]


@drill.cell("nonsense")
def nonsense(stage: Stage) -> Figures:
    """A host whose shell answers garbage, without end, or nothing fails alone, by name, in time; the other is healed"""
    stage.converged()
    stage.bare(ODD)

    def failed_alone(**environment: str) -> str:
        looks.answer("rm -f /etc/signalbox/lanes.json", user="root")
        run, peak = _watched(stage, **environment)
        said = _named_once(run, ODD)
        assert run.failed() == [ODD], run.failed()
        assert run.changed(HOST), run.stderr[-2000:]
        looks.answer("test -s /etc/signalbox/lanes.json", user="root")
        assert run.seconds < 400, run.seconds
        assert peak < MEMORY_MIB, f"{peak} MiB"
        return f"{said} ({run.seconds:.0f} s, {peak} MiB)"

    figures = {}
    for kind, script in ANSWERS.items():
        _answering(script)
        figures[kind] = failed_alone()
    _answering(ANSWERS["lines without end"])
    figures["lines without end, nothing read ahead"] = failed_alone(SIGNALBOX_READ_AHEAD="0")
    _answering("")
    control = must_fail(lambda: _named_once(stage.site(HOST, ODD).plan(), ODD), "a shell that answers")
    stage.discard(ODD)
    return {**figures, "control": control}


@drill.cell("greets")
def greets(stage: Stage) -> Figures:
    """A host whose shell greets whoever comes, with colours and bytes that are no text, is deployed to all the same."""
    site = stage.converged()
    greeting = "echo '[motd] Welcome! {1}'; printf '\\033[1;31mlate\\033[0m\\n\\377\\n'"
    keep, put_back = "cp -p /root/.bashrc /root/.bashrc.was", "mv /root/.bashrc.was /root/.bashrc"
    looks.answer(f"{keep}; {{ echo {looks.quoted(greeting)}; cat .bashrc.was; }} > .bashrc", user="root")
    try:
        heard = subprocess.run(
            [*access.ssh(Lab.current(), HOST, "root"), "true"], capture_output=True, check=True
        ).stdout
        assert heard.endswith(b"late\x1b[0m\n\xff\n"), f"control: it does not greet: {heard!r}"
        subprocess.run(hosts.inside(HOST, "rm", "/etc/signalbox/lanes.json"), check=True)
        healed = site.deploy().ok().changed(HOST)
        assert not site.deploy().ok().changed(HOST)
        told = {}
        for command in ("verify", "usage", "lock"):
            ran = site.signalbox(command)
            assert ran.status == 0, ran.stdout + ran.stderr
            assert "somebody" not in ran.stdout, ran.stdout
            told[command] = f"{ran.seconds:.1f} s"
    finally:
        subprocess.run(hosts.inside(HOST, "sh", "-c", put_back), check=True)
    return {"greeting": repr(heard), "healed": "; ".join(healed), **told}


@drill.cell("refused")
def refused(stage: Stage) -> Figures:
    """What preflight refuses on the last host is one clear sentence, and status 1, with and without reading ahead."""
    site = stage.converged()
    too_much = ("--data", "preflight.min_memory_mib=16000000")
    figures = {}
    for words in (("-y",), ("--dry",)):
        for ahead in ("1", "0"):
            run = replace(site, environment={"SIGNALBOX_READ_AHEAD": ahead}).start(*words, *too_much).wait()
            said = _named_once(run, HOST)
            assert "preflight.min_memory_mib asks for 16000000" in said, said
            ended = [line.strip() for line in run.stderr.splitlines() if "the run has ended" in line]
            assert ended, run.stderr[-2000:]
            assert HOST in ended[0], ended
            figures[f"{words[0]}, {'read ahead' if ahead == '1' else 'asked anew'}"] = f"{said}; {ended[0]}"
    control = must_fail(lambda: _named_once(site.plan(), HOST), "memory enough")
    return {**figures, "control": control}
