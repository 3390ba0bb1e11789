"""Nothing of a person's is changed unsaid: what a deploy would shut or stop is named before, and needs a word."""

from __future__ import annotations

import socket

from tests.drills import looks
from tests.drills.deployment import Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import Stage, lab_host
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "unsaid",
    "what people use a host for already",
    "A first plan and deploy name each service that the firewall would shut and each container that would be stopped, "
    "and change nothing before the settings say so; remove.py starts them again. A change that makes an operation's "
    "name untrue is named by the plan, and nothing else is.",
)

USED = lab_host("used")  # a host that was somebody's before
SERVE = "perl -MIO::Socket -e '$s = IO::Socket::INET->new(LocalPort => {}, Listen => 5, ReuseAddr => 1) or die; "
SERVE += 'while ($c = $s->accept) {{ print $c "theirs\\n"; close $c }}\''


def _serving(port: int, name: str) -> None:
    """Have a service of a person's on the host, which greets whoever connects to this port."""
    unit = f"[Service]\nExecStart=/usr/local/bin/{name}\n[Install]\nWantedBy=multi-user.target\n"
    looks.answer(
        f"printf '#!/bin/sh\\nexec %s\\n' {looks.quoted(SERVE.format(port))} > /usr/local/bin/{name}"
        f" && chmod 755 /usr/local/bin/{name} && printf %s {looks.quoted(unit)} > /etc/systemd/system/{name}.service"
        f" && systemctl daemon-reload && systemctl enable --quiet --now {name}.service",
        host=USED,
        user="root",
    )
    assert wait_until(lambda: _greets(port), 10, 0.2), f"{name} does not answer"


def _greets(port: int) -> bool:
    """Return whether the service at this port greets this machine."""
    try:
        with socket.create_connection((hosts.address(USED), port), timeout=3) as connection:
            return b"theirs" in connection.recv(64)
    except OSError:
        return False


def _nothing_changed() -> None:
    looks.answer("! test -e /var/lib/signalbox && ! test -e /etc/signalbox && ! id claude", host=USED, user="root")


def _refused(site: Site, *words: str) -> str:
    """AssertionError unless plan and deploy of the used host name all of this, and leave it as it is."""
    plan = site.signalbox("plan")
    _unknown(plan)
    for run in (plan, site.deploy()):
        told = run.stdout + run.stderr
        assert run.status == 1, told[-2000:]
        assert not [word for word in words if word not in told], told[-3000:]
        _nothing_changed()
    return ", ".join(words)


def _unknown(plan: Run) -> None:
    assert plan.status == 1 and "nothing was changed" in plan.stdout, plan.stdout[-3000:]


@drill.cell("shut", fixed=True)
def shut(stage: Stage) -> Figures:
    """A first plan and deploy name the services that the firewall would shut, and leave the host as it is."""
    stage.bare(USED)
    _serving(445, "shares")
    _serving(5432, "records")
    named = _refused(stage.site(USED), "tcp/445 (perl of shares.service)", "tcp/5432 (perl of records.service)")
    said = {"firewall": {"shut": ["tcp/445"], "open": {"tcp/5432": ["lan"]}}}
    plan = stage.site(USED, settings=said).signalbox("plan")
    assert plan.status == 2, f"not planned with the settings' word: {plan.stdout[-3000:]}"
    control = must_fail(lambda: _unknown(plan), "the settings' word")
    stage.discard(USED)
    return {"refused": named, "control": control}


@drill.cell("shut-said")
def shut_said(stage: Stage) -> Figures:
    """With the settings' word one is shut and one let in; a converged host is not asked again, and plans clean."""
    stage.bare(USED)
    _serving(445, "shares")
    _serving(5432, "records")
    site = stage.site(USED, settings={"firewall": {"shut": ["tcp/445"], "open": {"tcp/5432": ["lan"]}}})
    first = site.signalbox("plan")
    assert "tcp/445 (perl of shares.service): reached by others → shut" in first.stdout, first.stdout[-3000:]
    site.deploy().ok()
    assert _greets(5432), "what the settings let in is shut"
    assert not _greets(445), "what shall be shut answers"
    plain = stage.site(USED, settings={"firewall": {"shut": [], "open": {"tcp/5432": ["lan"]}}})
    again = plain.plan().ok().planned(USED)
    assert not again, f"a converged host is asked again: {again}"
    state = looks.answer("systemctl is-active shares.service", host=USED, user="root")
    stage.discard(USED)
    return {"let in": "tcp/5432", "shut": f"tcp/445, its service {state}", "next plan": "no change"}
