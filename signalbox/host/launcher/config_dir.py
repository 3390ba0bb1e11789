"""A lane's configuration directory: its own, with settings that let the lane's environment decide."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..shared import within
from ..shared.output import EX_CONFIG, fail
from ..shared.overrides import TOO_HIGH

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


def other_mode(lane: Mapping[str, Any]) -> tuple[Path, str] | None:
    """Return the permission mode that a person has chosen in the lane's place, and where; None: it is the lane's."""
    path = Path(lane["environment"]["CLAUDE_CONFIG_DIR"]) / "settings.json"
    try:
        permissions = within.json_of(within.text_of(path)).get("permissions", {})
        mode = permissions.get("defaultMode")
    except (OSError, ValueError, AttributeError):
        return None
    return None if mode in (None, lane["settings"]["permissions.defaultMode"]) else (path, str(mode)[:40])


def _settings(path: Path, lane: dict[str, Any]) -> None:
    """Have the lane's settings in the file, but for what a person has chosen otherwise."""
    wanted: dict[str, Any] = {**lane["settings"], "effortLevel": lane["effort"]}
    old = within.text_of(path) if path.exists() else ""
    settings: dict[str, Any] = within.json_of(old) if old.strip() else {}  # sources.py has read it
    record = path.with_name(WRITTEN)
    written = _written(record)
    new, ours = _merged(settings, wanted, written)
    if new.get("effortLevel", TOO_HIGH[0]) in TOO_HIGH:
        ours["effortLevel"] = new["effortLevel"] = lane["effort"]
        backup = path.with_name("settings.json.before-signalbox")
        if not backup.exists():
            backup.write_text(old)
    if new != settings:
        replace(path, new)
    now = {key: value for key, value in {**(written or {}), **ours}.items() if value is not None}
    if now != written:
        replace(record, now)


def _merged(
    settings: dict[str, Any], wanted: dict[str, Any], written: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings with what is wanted in them, and what of it is ours: what nobody else has changed.

    A dot in a key leads into an object. Of lists each entry is by itself somebody's. written: ours of the last time,
    None where nothing tells: then what is wanted and there already is ours.
    """
    new: dict[str, Any] = json.loads(json.dumps(settings))
    ours: dict[str, Any] = {}
    last = wanted if written is None else written
    for key in {**last, **wanted}:
        *path, name = key.split(".")
        inside: Any = new
        for part in path:
            there = isinstance(inside, dict) and (key in wanted or part in inside)
            inside = inside.setdefault(part, {}) if there else None
        if not isinstance(inside, dict):
            continue  # Claude Code will not have it either, or there is nothing to take out
        now, was, want = inside.get(name), last.get(key), wanted.get(key)
        if isinstance(want, list) and isinstance(now, list | None):
            before = was if isinstance(was, list) and written is not None else []
            kept = [each for each in now or () if each not in before or each in want]
            inside[name] = kept + [each for each in want if each not in kept and each not in before]
            ours[key] = want
        elif now == was or (written is None and now is None):
            inside[name] = ours[key] = want
        if inside.get(name) in (None, []):
            inside.pop(name, None)
    return {key: value for key, value in new.items() if value != {} or key in settings}, ours


def _written(path: Path) -> dict[str, Any] | None:
    """Return what was written last; None where nothing tells."""
    try:
        written = within.json_of(within.text_of(path))
    except (OSError, ValueError):
        return None
    return written if isinstance(written, dict) else None


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
