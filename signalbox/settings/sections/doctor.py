"""The section `doctor`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between, matching
from signalbox.fields.numbers import Mebibytes, Seconds
from signalbox.fields.section import Section
from signalbox.fields.urls import WebUrl

MailAddress = Annotated[str, matching(r"[^\s@]+@[^\s@]+", "a mail address", 'one such as "me@example.org"')]
MailServer = Annotated[
    str, matching(r"[\w.-]+(:\d{1,5})?", "a mail server", 'its host, or "host:port", such as "mail.example.org:25"')
]


class Doctor(Section):
    """claude-doctor and its timer; sizes in MiB. None: no timer, no limit, no report by that way."""

    enabled: bool
    min_free_mib: Mebibytes
    max_key_days: Annotated[int, between(1, 36500, "days")] | None
    smoke_seconds: Seconds
    every_minutes: Annotated[int, between(1, 10080, "minutes")] | None
    webhook: WebUrl | None
    mail_to: MailAddress | None
    mail_from: MailAddress | None
    mail_server: MailServer | None
