"""Which models are known to drive Claude Code: by report files beside the inventory, or by what the guides report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from signalbox.settings import Settings

DIRECTORY = Path("certified")
SHIPPED = Path(__file__).with_name("certified.yaml")


def uncertified(settings: Settings) -> tuple[str, ...]:
    """Return the models of enabled backends that nothing certifies, each as backends.NAME: ID."""
    return tuple(
        f"backends.{record.name}: {model.id}"
        for record in settings.backends.values()
        if record.enabled
        for model in record.models.values()
        if certified(str(record.kind), str(model.id)) is None
    )


def certified(kind: str, model: str, directory: Path = DIRECTORY) -> str | None:
    """Return by what a model on this kind of server is known to work; None where nothing is known, or it failed."""
    reports = []
    for file in sorted(directory.glob("*.json")):
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if (read.get("kind"), read.get("model")) == (kind, model):
            reports.append((str(read.get("date")), str(file), read.get("verdict")))
    if reports:  # of several quantisations the one that was looked at last counts
        date, name, verdict = max(reports)
        return f"{name} of {date}" if verdict == "certified" else None
    shipped: Sequence[dict[str, str]] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    found = [row["source"] for row in shipped if row["model"] == model and row["server"].split()[0] == kind]
    return found[0] if found else None
