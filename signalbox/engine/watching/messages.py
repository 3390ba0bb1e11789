"""pyinfra's log, line by line, as what a person wants to hear of it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import click

from signalbox.engine.output import printed

# What says no more than the screen does.
_SILENT = re.compile(r"(Connected|Ready: .*|Success|No changes|Skipped)( on retry \d+)?( \(.*\))?\s*")
_EXECUTED = re.compile(r"(Error: )?executed \d+ commands.*")


@dataclass(frozen=True)
class Message:
    """One message. host: "" for none. level: of logging. is_news: it says something that a person has not seen."""

    host: str
    text: str
    level: int
    is_news: bool

    @property
    def shown(self) -> str:
        """The message with its host's name before it."""
        return f"[{self.host}] {self.text}" if self.host else self.text


def read(record: logging.LogRecord, names: frozenset[str]) -> tuple[str, Message]:
    """Return a record as one safe text, and as the message that it is.

    names: of the run's hosts. What a host says never comes first in a record, so its name there is pyinfra's word.
    """
    text = click.unstyle(printed(record.getMessage())).strip()
    host, rest = "", text
    if text.startswith("["):
        name, closed, said = text[1:].partition("]")
        if closed and name in names:
            host, rest = name, said.strip()
    heading = not host and record.levelno < logging.WARNING
    silent = heading or bool(_SILENT.fullmatch(rest)) or bool(_EXECUTED.fullmatch(rest))
    return text, Message(host, rest, record.levelno, bool(rest) and not silent)
