"""Doctor: the command claude-doctor, what it compares the host with, and a timer that reports changes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from signalbox.desired import symptoms
from signalbox.desired.gateway_container import AUDIT
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import remark
from signalbox.host import programs
from signalbox.operations import directories, file, files, link, service
from signalbox.settings import Account
from signalbox.settings.sections.doctor import Doctor

from .programs import BASE

RECORD = "/etc/signalbox/doctor.json"
LOOK = f"{AUDIT}/look"  # the gateway changes it when somebody shall look
UNITS = tuple(f".config/systemd/user/claude-doctor.{kind}" for kind in ("service", "timer", "path"))


@deploy("Doctor")
def doctor(settings: Doctor, account: Account, record: dict[str, Any], uncertified: tuple[str, ...]) -> None:
    """Place claude-doctor and the `record` that it compares with; let `account` run it by a timer, and at a call.

    + uncertified: what is to be said of models of which nobody has shown that they can drive Claude Code.
    """
    if not settings.enabled:
        return
    for model in uncertified:
        remark(model)
    directories(name="claude-doctor has its directories", paths=[f"{BASE}/doctor", "/etc/signalbox"])
    files(
        name="claude-doctor's programs and its symptoms are in place",
        contents=_programs(),
        modes={f"{BASE}/doctor/doctor.py": "755"},
    )
    file(
        name="claude-doctor knows what this host shall be",
        path=RECORD,
        content=json.dumps(record, indent=2, sort_keys=True) + "\n",
    )
    link(name="claude-doctor is a command", path="/usr/local/bin/claude-doctor", target=f"{BASE}/doctor/doctor.py")
    _timer(settings, account)


@cache
def _programs() -> dict[str, str]:
    """Return what is the same on every host, by path."""
    texts = {f"{BASE}/{path}": text for path, text in programs("doctor").items()}
    return {**texts, f"{BASE}/doctor/symptoms.json": json.dumps(symptoms.rows(), indent=1, ensure_ascii=False) + "\n"}


def _timer(settings: Doctor, account: Account) -> None:
    user = account.name
    if settings.every_minutes is None:
        return
    below = [".config", ".config/systemd", ".config/systemd/user"]
    directories(
        name=f"{user}: the timer of claude-doctor has its directories",
        paths=[account.path(each) for each in below],
        mode="700",
        user=user,
    )
    for unit in UNITS:
        name = unit.rsplit("/", 1)[1]
        file(
            name=f"{user}: {name} is in place",
            path=account.path(unit),
            content=render(f"doctor/{name}", minutes=settings.every_minutes, look=LOOK),
            user=user,
        )
    for unit in ("claude-doctor.timer", "claude-doctor.path"):
        service(
            name=f"{user}: {unit} is enabled and runs",
            unit=unit,
            account=user,
            home=account.home,
            inputs={},
        )
