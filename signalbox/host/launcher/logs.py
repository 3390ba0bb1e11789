"""claude-logs: the gateway's routing as it happens, in plain words."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from ..shared import audit
from ..shared.output import EX_USAGE, fail, tell
from .backends_env import with_lanes
from .records import read_records

USAGE = """\
claude-logs [--lane LANE] [--session ID] [-n NUMBER] [--follow | --no-follow] [--json]

Shows the last requests (10, or NUMBER) that went through the gateway; at a terminal, or with --follow, then each one as
it comes; Ctrl-C ends it."""
# Of what the gateway changes in a request; what makes no difference to the answer is not told.
MENDED = {"images": "images left out, as it sees none"}
PAUSE = 0.3  # seconds between looks


def main(arguments: Sequence[str]) -> NoReturn:
    """Print the last entries, then follow."""
    options: dict[str, str] = {"--lane": "", "--session": "", "-n": "10"}
    flags = {"--follow": False, "--no-follow": False, "--json": False}
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            tell(*USAGE.splitlines())
            sys.exit(0)
        if word in flags:
            flags[word] = True
        elif word in options and words:
            options[word] = words.pop(0)
        else:
            fail(EX_USAGE, USAGE)
    if not options["-n"].isdigit():
        fail(EX_USAGE, USAGE)
    records = read_records()
    path = Path(records["audit"])
    _require_lane(records, path, options["--lane"])

    def wanted(entry: Mapping[str, Any]) -> bool:
        asked_for = {"lane": options["--lane"], "session": options["--session"]}
        return all(not value or entry.get(key) == value for key, value in asked_for.items())

    def show(entry: audit.Entry) -> None:
        tell(json.dumps(entry) if flags["--json"] else in_words(entry))

    try:
        last = [entry for entry in audit.newest(path) if wanted(entry)]
        for entry in last[len(last) - int(options["-n"]) :] if int(options["-n"]) < len(last) else last:
            show(entry)
        if flags["--follow"] or (sys.stdout.isatty() and not flags["--no-follow"]):
            for entry in filter(wanted, audit.follow(path, lambda: time.sleep(PAUSE))):
                show(entry)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()  # a pipe that was closed is no error
    sys.exit(0)


def _require_lane(records: dict[str, Any], path: Path, lane: str) -> None:
    """End if there is neither a lane of this name nor a request of one that there was."""
    known = with_lanes(records)["lanes"]
    if lane and lane not in known and not any(entry.get("lane") == lane for entry in audit.newest(path)):
        fail(EX_USAGE, f"no lane is called {lane!r} here; there are {', '.join(known)}")


def in_words(entry: Mapping[str, Any]) -> str:
    """Return one line: when, in which lane, what was asked, who answered, how much, what it cost, how long it took."""
    when = datetime.fromisoformat(entry["time"]).astimezone().strftime("%H:%M:%S")
    asked, who = entry.get("asked") or "?", audit.answered_by(entry)
    if audit.failed_over(entry):
        route = f"{asked}: {entry['fallback']} FAILED ({entry.get('error_class') or 'error'}), {who} answered"
    else:
        route = f"{asked}: {who} answered"
    route += f", by the rule for {entry['rule']}" if entry.get("rule") else ""
    route += "".join(f", {MENDED[each]}" for each in entry.get("mended") or () if each in MENDED)
    cost = entry.get("cost_usd")
    paid = audit.free_as(entry) or ("price unknown" if cost is None else f"${cost:.4f}")
    about = "about " if entry.get("estimated") else ""
    amount = f"{about}{entry.get('input_tokens')} tokens in, {entry.get('output_tokens')} out"
    return f"{when}  {entry.get('lane') or '-':<10} {route}; {amount}, {paid}, {entry.get('seconds')} s"
