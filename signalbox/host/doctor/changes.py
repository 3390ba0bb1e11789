"""What the timer does: tell the journal, and whom the settings name, what has changed since it last looked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..shared import within
from ..shared.output import shown, tell
from .check import Finding, Outcome
from .host_context import ask
from .symptoms import FAILURE, symptoms

LOOK = "look"  # beside the audit
# Priorities of sd-daemon(3): journald takes them from the start of a line.
ERROR, WARNING, NOTICE = "<3>", "<4>", "<5>"


def report(outcomes: Sequence[Outcome], findings: Sequence[Finding], settings: Mapping[str, Any]) -> int:
    """Tell what is new and what is over since each channel was told last. Returns 0, or 1 where telling one failed.

    What is found is the same as long as its key is: that a disk has one MiB less is no change.
    """
    state = Path.home() / ".local/state/signalbox/doctor/told.json"
    now = {finding.key: f"{finding.symptom}: {finding.seen}" for finding in reversed(findings)}
    now |= {
        f"look:{each.check}": f"could not be looked at: {each.title}: {each.problem}"
        for each in outcomes
        if each.problem
    }
    told, problems = _told(state), []
    for channel in CHANNELS:
        before = told.get(channel, {})
        new = [key for key in now if key not in before]
        over = [words for key, words in before.items() if key not in now]
        try:
            if new or over:
                CHANNELS[channel]({key: now[key] for key in new}, over, settings)
        except _NotToldError as error:  # it is told again the next time
            problems.append(str(error))
            continue
        told[channel] = now
    for problem in problems:
        tell(f"{WARNING}could not report it: {problem}")
    state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = state.with_name(f".told.{os.getpid()}")
    fresh.write_text(json.dumps(told))
    fresh.replace(state)
    return 1 if problems else 0


def called(expected: Mapping[str, Any], began: float) -> bool:
    """Whether the gateway has called the doctor (its file `look`) since then: systemd does not hear it meanwhile."""
    audit = expected.get("lanes", {}).get("audit")
    try:
        return bool(audit) and Path(audit).with_name(LOOK).stat().st_mtime > began
    except OSError:
        return False


class _NotToldError(Exception):
    """A channel did not take it."""


def _told(state: Path) -> dict[str, dict[str, str]]:
    """Return what each channel was told last, words by key."""
    try:
        read = within.json_of(within.text_of(state))
        kept = {channel: read[channel].items() for channel in CHANNELS if channel in read}
        return {channel: {key: shown(words) for key, words in each} for channel, each in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _journal(new: dict[str, str], over: list[str], _: Mapping[str, Any]) -> None:
    for key, words in new.items():
        symptom = symptoms().get(key.partition(":")[0])
        failure = symptom is None or symptom.level == FAILURE
        cure = f" | cure: {symptom.cure}" if symptom else ""
        tell(f"{ERROR if failure else WARNING}{words}{cure}")
    for words in over:
        tell(f"{NOTICE}over: {words}")


def _webhook(new: dict[str, str], over: list[str], settings: Mapping[str, Any]) -> None:
    url = settings.get("webhook")
    if not url:
        return
    answer = ask(
        url, body={"host": os.uname().nodename, "new": [*new.values()], "over": over}, timeout=10, proxies=True
    )
    if not 200 <= answer.status < 300:
        raise _NotToldError(f"{url} answers {answer.status or answer.text}")


def _mail(new: dict[str, str], over: list[str], settings: Mapping[str, Any]) -> None:
    if not settings.get("mail_to"):
        return
    # Only here: every look would pay for loading them.
    import smtplib
    from email.message import EmailMessage

    host, message = os.uname().nodename, EmailMessage()
    message["Subject"] = f"{host}: {len(new)} new, {len(over)} over"
    message["From"] = settings.get("mail_from") or f"signalbox@{host}"
    message["To"] = settings["mail_to"]
    message.set_content(
        "".join([*(f"new: {words}\n" for words in new.values()), *(f"over: {words}\n" for words in over)])
    )
    server, _, port = settings["mail_server"].partition(":")
    try:
        with smtplib.SMTP(server, int(port or 25), timeout=10) as connection:
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise _NotToldError(f"{settings['mail_server']}: {error}") from None


CHANNELS: dict[str, Callable[[dict[str, str], list[str], Mapping[str, Any]], None]] = {
    "journal": _journal,
    "webhook": _webhook,
    "mail": _mail,
}
