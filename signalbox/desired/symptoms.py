"""The symptoms, read from their one file on the controller: what is said of them, and what is to be done."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from signalbox.host import doctor
from signalbox.host.doctor.symptoms import Symptom, explain, of_rows

FILE = Path(doctor.__file__).with_name("symptoms.yaml")


@cache
def rows() -> dict[str, dict[str, Any]]:
    """Return the file's rows by id."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where libyaml is
    read: dict[str, dict[str, Any]] = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506 (both are safe)
    return read


@cache
def known() -> dict[str, Symptom]:
    """Return the symptoms by id."""
    return of_rows(rows())


def words(ident: str, seen: str) -> str:
    """Return a sentence on a symptom, as every command that runs on this machine tells it."""
    row = known()[ident]
    return f"{row.symptom} [{ident}]: {seen}; {row.cure}"


def cure(said: str) -> str:
    """Return what to do about a host's words, as the symptom says that has them; "": none has, or the words say it."""
    found = explain(said, known())
    if not found or f"[{found[0].id}]" in said:
        return ""
    return f"{found[0].cure} [{found[0].id}]"
