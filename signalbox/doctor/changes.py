"""What the timer does: tell the journal, and whom the settings name, what has changed since it last looked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .check import Finding, Outcome
from .here import ask
from .symptoms import FAILURE, symptoms

# Priorities of sd-daemon(3): journald takes them from the start of a line.
ERROR, WARNING, NOTICE = "<3>", "<4>", "<5>"


def report(outcomes: Sequence[Outcome], findings: Sequence[Finding], settings: Mapping[str, Any]) -> int:
    """Compare with the last look and tell what is new and what is over. Returns 0, or 1 where telling failed."""
    state = Path.home() / ".local/state/signalbox/doctor/last.json"
    now = {f"{finding.symptom}: {finding.seen}": finding.symptom for finding in findings}
    now |= {f"could not be looked at: {each.title}: {each.problem}": "" for each in outcomes if each.problem}
    try:
        before: dict[str, str] = json.loads(state.read_text())
    except (OSError, ValueError):
        before = {}
    new = [what for what in now if what not in before]
    over = [what for what in before if what not in now]
    for what in new:
        symptom = symptoms().get(now[what])
        failure = symptom is None or symptom.level == FAILURE
        cure = f" | cure: {symptom.cure}" if symptom else ""
        print(f"{ERROR if failure else WARNING}{what}{cure}")
    for what in over:
        print(f"{NOTICE}over: {what}")
    problems = _send(new, over, settings) if new or over else []
    for problem in problems:
        print(f"{WARNING}could not report it: {problem}")
    if problems:  # it is told again the next time
        return 1
    state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = state.with_name(f".last.{os.getpid()}")
    fresh.write_text(json.dumps(now))
    fresh.replace(state)
    sys.stdout.flush()
    return 0


def _send(new: list[str], over: list[str], settings: Mapping[str, Any]) -> list[str]:
    host, problems = os.uname().nodename, []
    if settings.get("webhook"):
        answer = ask(settings["webhook"], body={"host": host, "new": new, "over": over}, timeout=10, proxies=True)
        if not 200 <= answer.status < 300:
            problems.append(f"{settings['webhook']} answers {answer.status or answer.text}")
    if settings.get("mail_to"):
        # Only here: every look would pay for loading them.
        import smtplib
        from email.message import EmailMessage

        message = EmailMessage()
        message["Subject"] = f"{host}: {len(new)} new, {len(over)} over"
        message["From"] = settings.get("mail_from") or f"signalbox@{host}"
        message["To"] = settings["mail_to"]
        message.set_content("".join(f"new: {what}\n" for what in new) + "".join(f"over: {what}\n" for what in over))
        server, _, port = settings["mail_server"].partition(":")
        try:
            with smtplib.SMTP(server, int(port or 25), timeout=10) as connection:
                connection.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            problems.append(f"{settings['mail_server']}: {error}")
    return problems
