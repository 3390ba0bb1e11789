"""claude-switch status: where claude goes from this shell, who answers, who pays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..shared import overrides
from ..shared.claude_environment import OF_A_SLOT
from ..shared.output import tell, tell_json
from . import lane as lanes
from . import probes
from .keys import BadKeyError, read_key
from .records import Lane

PLAIN = "plain claude"


def main(records: Mapping[str, Any], arguments: Sequence[str]) -> int:
    """Print it (--json: as JSON) and return the exit status: 2 if something is in the way."""
    found = _of_shell(records)
    if "--json" in arguments:
        tell_json(found)
    else:
        _print(found)
    silent = found["outlook"] or any(not each["answers"] for each in found["servers"])
    return 2 if found["trouble"] or found["beaten_by"] or silent else 0


def _of_shell(records: Mapping[str, Any]) -> dict[str, Any]:
    name = os.environ.get("SIGNALBOX_LANE", "")
    lane = records["lanes"].get(name)
    there = probes.answering(lane) if lane else {}
    diverting = [str(each) for each in overrides.of_plain_claude(records, {} if lane else os.environ)]
    if lane is None:
        return {
            "lane": None,
            "goes_to": os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
            "models": {},
            "bills": "the account of plain claude's own login" if not diverting else "see what diverts it",
            "session": [],
            "trouble": None,
            "servers": [],
            "outlook": [],
            "directory": os.environ.get("CLAUDE_CONFIG_DIR", str(Path.home() / ".claude")),
            "beaten_by": diverting,
            "plain_claude_diverted_by": diverting,
        }
    return {
        "lane": name,
        "goes_to": lane["goes_to"],
        "models": {
            slot: lane["environment"].get(variable, lane["models"][slot])
            for slot, variable in OF_A_SLOT.items()
            if slot in lane["models"]
        },
        "bills": lane["billed"],
        "session": list(lanes.how(lane)),
        "trouble": _trouble(name, lane, records),
        "servers": [{"name": k, "url": v, "answers": there[k]} for k, v in lane["servers"].items()],
        "outlook": list(probes.outlook(lane, lambda: there)),
        "directory": lane["environment"]["CLAUDE_CONFIG_DIR"],
        "beaten_by": [str(each) for each in overrides.of_lane(lane, records) if each.beats],
        "plain_claude_diverted_by": diverting,
    }


def _trouble(name: str, lane: Lane, records: Mapping[str, Any]) -> str | None:
    try:
        found = probes.trouble(name, lane, records["gateway"], read_key(lane))
    except BadKeyError as error:
        return str(error)
    return found.text if found else None


def _print(found: Mapping[str, Any]) -> None:
    rows = [("lane", found["lane"] or f"none: {PLAIN}"), ("goes to", found["goes_to"])]
    rows += [("", found["trouble"] or "it answers")] if found["lane"] else []
    rows += [("model" if slot == "main" else f"  {slot}", model) for slot, model in found["models"].items()]
    for server in found["servers"]:
        rows.append(("server", f"{server['name']}: {'answers' if server['answers'] else 'DOES NOT ANSWER'}"))
    rows += [("", each) for each in found["outlook"]]
    rows += [("session", each) for each in found["session"]]
    rows += [("bills", found["bills"]), ("directory", found["directory"])]
    rows += [("beaten by", each) for each in found["beaten_by"]]
    if found["lane"]:
        rows += [(PLAIN, f"diverted by {each}") for each in found["plain_claude_diverted_by"]]
    for label, value in rows:
        tell(f"{label:<13} {value}")
