"""A lane's configuration directory: its own, with settings that let the lane's environment decide."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import within
from .sources import TOO_HIGH
from .speak import EX_CONFIG, fail

WRITTEN = ".settings-of-signalbox.json"  # what was written into settings.json last, to know it from a person's own


def prepare(lane: dict[str, Any], key: str | None) -> None:
    """Have the lane's directory, ready to start without a question; what a person has changed in it stays."""
    directory = Path(lane["environment"]["CLAUDE_CONFIG_DIR"])
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _settings(directory / "settings.json", lane)
        _state(directory / ".claude.json", lane, key)
    except OSError as error:
        fail(EX_CONFIG, f"{directory} cannot be used ({error.strerror})")


def _settings(path: Path, lane: dict[str, Any]) -> None:
    """Have the lane's effort and status line in the settings, where a person has not chosen otherwise."""
    wanted: dict[str, Any] = {"effortLevel": lane["effort"]}
    if lane["status_line"]:
        wanted["statusLine"] = {"type": "command", "command": lane["status_line"]}
    old = within.text_of(path) if path.exists() else ""
    settings: dict[str, Any] = within.json_of(old) if old.strip() else {}  # sources.py has read it
    record = path.with_name(WRITTEN)
    written = _written(record, wanted if settings else {})
    ours = {key: value for key, value in wanted.items() if settings.get(key) == written.get(key)}
    new = {**settings, **ours}
    if new.get("effortLevel", TOO_HIGH[0]) in TOO_HIGH:
        ours["effortLevel"] = new["effortLevel"] = lane["effort"]
        backup = path.with_name("settings.json.before-signalbox")
        if not backup.exists():
            backup.write_text(old)
    if new != settings:
        replace(path, new)
    if {**written, **ours} != written or not record.exists():
        replace(record, {**written, **ours})


def _written(path: Path, unknown: dict[str, Any]) -> dict[str, Any]:
    """Return what was written last; `unknown` where nothing tells."""
    try:
        written = within.json_of(within.text_of(path))
    except (OSError, ValueError):
        return unknown
    return written if isinstance(written, dict) else unknown


def _state(path: Path, lane: dict[str, Any], key: str | None) -> None:
    """Claude Code's first start would ask for a theme, a login, and whether to use the key that it was given."""
    if path.exists():
        return
    state: dict[str, Any] = {"hasCompletedOnboarding": True}
    if key and lane["key_variable"] == "ANTHROPIC_API_KEY":
        state["customApiKeyResponses"] = {"approved": [key[-20:]], "rejected": []}  # how Claude Code knows a key again
    replace(path, state)


def replace(path: Path, content: dict[str, Any]) -> None:
    """Write the file whole or not at all: several sessions may start at once."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)
