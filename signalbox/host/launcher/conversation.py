"""claude-switch continue: a conversation goes on in another lane.

Claude Code keeps a conversation below its configuration directory, and each lane has its own; so it is copied, and
goes on there under the same id. Nothing enters or leaves a private lane unless a person says so.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..shared import within
from ..shared.output import EX_CONFIG, EX_USAGE, fail, say, tell
from . import lane as lanes
from . import probes
from .keys import key_of
from .records import Lane, lane_named

USAGE = """\
claude-switch continue LANE [--from LANE] [--session ID] [--private-too] [-- what claude takes]

Goes on in LANE with a conversation of this directory: the last one, or the one with this id, of the lane that the
shell is in or any lane that is not private, or of the one that --from names. --private-too lets it enter or leave a
private lane. The conversation is copied; the first lane keeps its own."""
ROOM = 4096  # tokens that the next prompt and its answer need, where the lane does not say


def main(records: dict[str, Any], arguments: Sequence[str]) -> NoReturn:
    """Copy the conversation and become Claude Code in the other lane."""
    words, rest = _split(list(arguments))
    options = {"--from": "", "--session": ""}
    names: list[str] = []
    across = False
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            tell(*USAGE.splitlines())
            sys.exit(0)
        if word in options and words:
            options[word] = words.pop(0)
        elif word == "--private-too":
            across = True
        else:
            names.append(word)
    if len(names) != 1 or names[0].startswith("-"):
        fail(EX_USAGE, USAGE)
    target, origin = lane_named(records, names[0]), options["--from"]
    if origin == names[0]:
        fail(EX_USAGE, f"a conversation of {origin} is there already; claude-{origin} --resume")
    found = _find(records, names[0], origin, options["--session"], across)
    if found is None:
        where = f"lane {origin}" if origin else "any other lane that is not private"
        fail(EX_USAGE, f"{where} has no conversation of this directory ({Path.cwd()})")
    name, path = found
    if (records["lanes"][name]["private"] or target["private"]) and not across:
        private = name if records["lanes"][name]["private"] else names[0]
        fail(
            EX_USAGE, f"{private} is private, and this goes from {name} to {names[0]}; add --private-too if you mean it"
        )
    used = context_used(path)
    _require_room(names[0], target, records["gateway"], used)
    there = kept_in(target) / path.name
    if there.exists() and there.stat().st_mtime > path.stat().st_mtime:
        fail(EX_USAGE, f"{names[0]} has gone further with that conversation; claude-{names[0]} --resume {path.stem}")
    _copy(path, kept_in(target))
    say(f"on with {path.stem} of {name} in {names[0]}, {used} tokens so far")
    lanes.start(names[0], target, records, ["--resume", path.stem, *rest])


def context_used(path: Path) -> int:
    """Return the tokens that the conversation held at its last answer, as the model server counted them."""
    used = 0
    for entry in _entries(path):
        usage = (entry.get("message") or {}).get("usage") if entry.get("type") == "assistant" else None
        if isinstance(usage, dict) and not entry.get("isSidechain"):
            used = sum(
                usage.get(each) or 0
                for each in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
            )
    return used


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    cut = words.index("--") if "--" in words else len(words)
    return words[:cut], words[cut + 1 :]


def kept_in(lane: Lane) -> Path:
    """Return where the lane keeps the conversations of the current directory, as Claude Code 2.1.329 names it."""
    return Path(lane["environment"]["CLAUDE_CONFIG_DIR"]) / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(Path.cwd()))


def _find(records: dict[str, Any], target: str, origin: str, session: str, across: bool) -> tuple[str, Path] | None:
    """Return the newest conversation that fits, with its lane: the shell's own lane first, and never the target."""
    here = os.environ.get("SIGNALBOX_LANE")
    chosen = {origin: lane_named(records, origin)} if origin else records["lanes"]
    candidates = [
        (name == here, path.stat().st_mtime, name, path)
        for name, lane in chosen.items()
        if name != target and (origin or across or name == here or not lane["private"])
        for path in within.names_in(kept_in(lane), f"{session or '*'}.jsonl")
    ]
    return max(candidates)[2:] if candidates else None


def _require_room(name: str, lane: Lane, gateway: dict[str, str], used: int) -> None:
    """End if the conversation does not fit into what the lane's model has loaded; Claude's own Claude Code knows."""
    if lane["context"] is None:
        return
    window = probes.window(lane, key_of(lane), gateway) or lane["context"]
    answer = int(lane["environment"].get("CLAUDE_CODE_MAX_OUTPUT_TOKENS", ROOM))
    if used + answer > window:
        fail(
            EX_CONFIG,
            f"the conversation holds {used} tokens and {name} has a context of {window}, {answer} of them for the "
            "answer; shorten it with /compact where it is, or load the model with more",
        )


def _copy(path: Path, directory: Path) -> None:
    """Copy the conversation without the thinking in it: its signatures are good for the model that made them alone."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    parent_of: dict[str, str | None] = {}
    lines: list[str] = []
    for entry in _entries(path):
        content = (entry.get("message") or {}).get("content") if isinstance(entry.get("message"), dict) else None
        if entry.get("type") == "assistant" and isinstance(content, list):
            kept = [each for each in content if each.get("type") not in ("thinking", "redacted_thinking")]
            if not kept:
                parent_of[entry["uuid"]] = entry.get("parentUuid")
                continue
            entry = {**entry, "message": {**entry["message"], "content": kept}}
        while entry.get("parentUuid") in parent_of:
            entry = {**entry, "parentUuid": parent_of[entry["parentUuid"]]}
        lines.append(json.dumps(entry))
    new = directory / f".{path.name}.new"
    new.touch(mode=0o600)
    new.write_text("\n".join(lines) + "\n")
    new.replace(directory / path.name)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in within.lines_of(path, longest=within.FILE):
        try:
            entry = within.json_of(line)
        except ValueError:
            continue  # the end of a session that was killed
        if isinstance(entry, dict):
            yield entry
