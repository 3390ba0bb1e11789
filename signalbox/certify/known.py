"""Which models are known to drive Claude Code: by report files in certified/, or by what the guides report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from signalbox.settings import Settings

DIRECTORY = Path("certified")
SHIPPED = Path(__file__).with_name("certified.yaml")


def uncertified(settings: Settings) -> tuple[str, ...]:
    """Return what is to be said of each model of an enabled backend that nothing certifies."""
    said = []
    for record in settings.backends.values():
        for model in record.models.values() if record.enabled else ():
            why = lacking(str(record.kind), str(model.id), model.context_length)
            said += [f"backends.{record.name}: {model.id} {why}"] if why else []
    return tuple(said)


def lacking(kind: str, model: str, context: int, directory: Path = DIRECTORY) -> str:
    """Return what a model on this kind of server lacks to be certified with so much context; "" where it is.

    Of several reports (quantisations, versions of the server) the newest counts.
    """
    reports = [read for read in _reports(directory) if (read.get("kind"), read.get("model")) == (kind, model)]
    if not reports:
        if reported(kind, model):
            return ""
        return "is not certified; `signalbox certify` tells whether it can drive Claude Code"
    last = max(reports, key=lambda read: str(read.get("date")))
    certified = f"on {last.get('date')}"
    if last.get("verdict") == "failed":
        return f"failed its certification {certified}: {', '.join(last.get('reasons', ())) or 'see its report'}"
    if last.get("verdict") != "certified":
        return f"answers as Claude Code asks ({certified}), but Claude Code itself was not tried; add --agent"
    if int(last.get("context", 0)) < context:
        return f"is certified with {last.get('context')} tokens of context, and the settings say {context}"
    return ""


def reported(kind: str, model: str) -> str | None:
    """Return which guide reports that a model on this kind of server works; None where none does."""
    shipped: Sequence[dict[str, str]] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    found = [row["source"] for row in shipped if (row["kind"], row["model"]) == (kind, model)]
    return found[0] if found else None


def _reports(directory: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(directory.glob("*.json")):
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(read, dict):
            yield read
