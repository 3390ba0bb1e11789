"""What the gateway wrote down of each request: who asked, who answered. Never content."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from . import within
from .output import EX_CONFIG, fail

Entry = dict[str, Any]
TEXTS = ("session", "run", "lane", "asked", "model", "backend", "rule", "fallback", "error_class")
NUMBERS = ("status", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "compared_usd", "seconds")
SETTLE, LOOK = 0.5, 0.05  # seconds until a run's last line is written, and between looks for it
TAIL = 512 << 10  # bytes that are read for the last entries; some 1500 of them


def last_of(path: Path, session: str, asked: str) -> Entry | None:
    """Return the last entry of a session for the model that was asked for; None: it has none lately, or none is read.

    Requests that nobody waited for do not count: a person has interrupted them.
    """
    for entry in reversed(list(newest(path))):
        mine = entry.get("session") == session and entry.get("asked") == asked
        if mine and entry.get("error_class") != "client_gone":
            return entry
    return None


def newest(path: Path) -> Iterator[Entry]:
    """Yield the entries at the end of the file, oldest first; none when it is not there."""
    try:
        lines = within.last_lines_of(path, TAIL)
    except OSError:
        return
    yield from parsed(lines)


def parsed(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of these lines, leaving out what is none."""
    for line in lines:
        try:
            entry = within.json_of(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and _sound(entry):
            yield entry


def _sound(entry: Entry) -> bool:
    """Whether each thing that is told of an entry is what it should be; the gateway's user is not believed blindly."""
    try:
        well = 1970 <= datetime.fromisoformat(entry["time"]).year < 9999
    except (KeyError, TypeError, ValueError):
        return False
    return (
        well
        and all(isinstance(entry.get(name), str | None) for name in TEXTS)
        and all(entry.get(name) is None or _counts(entry[name]) for name in NUMBERS)
    )


def _counts(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e15


def follow(path: Path, wait: Any) -> Iterator[Entry]:
    """Yield entries as they are written, also when the file is rotated; `wait()` is called while there is none."""
    file = _opened(path)
    rest = b""
    while True:
        found = file.read(TAIL)
        if found:
            rest = rest if len(rest) < within.LINE else b""
            *lines, rest = (rest + found).split(b"\n")
            yield from parsed(lines)
            continue
        try:
            rotated = os.stat(path).st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            rotated = False
        if rotated:
            file.close()
            file, rest = _opened(path, end=False), b""
            continue
        wait()


def _opened(path: Path, end: bool = True) -> Any:
    try:
        file = within.opened(path)
    except OSError as error:
        fail(
            EX_CONFIG, f"{path} cannot be read ({error.strerror}); is the gateway running, and this user's deploy done?"
        )
    if end:
        file.seek(0, os.SEEK_END)
    return file


def stood_in(path: Path, run: str, lanes: Mapping[str, Any]) -> Iterator[str]:
    """Yield who answered in another's place in this run, why, how often, and what it cost; nothing where nobody did.

    And what a rule has sent to somebody who bills, and what the run had asked by name that is none of its lane's, as an
    agent's file may, where that was billed.
    """
    until = time.monotonic() + SETTLE
    while not (mine := [each for each in newest(path) if each.get("run") == run]) and path.exists():
        if time.monotonic() > until:
            return
        time.sleep(LOOK)
    told: dict[tuple[str, str], list[Entry]] = {}
    for each in mine:
        if failed_over(each) and not unanswered(each):
            why = f" in place of {each['fallback']} ({each.get('error_class')})"
        elif each.get("rule") and each.get("cost_usd") != 0 and not unanswered(each):
            why = f" by the rule for {each['rule']}"
        elif _is_extra(each, lanes) and each.get("cost_usd") != 0 and not unanswered(each):
            why = ", asked for by name"
        else:
            continue
        told.setdefault((answered_by(each), why), []).append(each)
    for (who, why), several in told.items():
        yield f"{who} answered {len(several)} of {len(mine)} requests{why}: {_cost(several)}"


def free_as(entry: Mapping[str, Any]) -> str:
    """Return why an answer costs nothing, in words; "" where it costs something, or nobody knows what."""
    if entry.get("cost_usd") != 0:
        return ""
    return "paid by the month" if entry.get("plan") is True else "free"


def _cost(entries: list[Entry]) -> str:
    """Return what these answers by one model cost, in words; what nobody knows is never nothing."""
    known = sum(each.get("cost_usd") or 0 for each in entries)
    unknown = any(each.get("cost_usd") is None for each in entries)
    words = [f"{known:.4f} USD"] if known else [] if unknown else [free_as(entries[0])]
    return " and ".join([*words, *(["what nobody knows the price of"] if unknown else [])])


def _is_extra(entry: Mapping[str, Any], lanes: Mapping[str, Any]) -> bool:
    """Whether a model was asked for that is none of its lane's."""
    lane = lanes.get(str(entry.get("lane")))
    return lane is not None and entry.get("asked") not in lane["models"].values()


def failed_over(entry: Mapping[str, Any]) -> bool:
    """Whether somebody else answered than the model that was asked first."""
    return bool(entry.get("fallback"))


def unanswered(entry: Mapping[str, Any]) -> bool:
    """Whether nobody answered: no server was asked, or the last that was gave an error."""
    return not entry.get("backend") or (entry.get("status") or 500) >= 400


def answered_by(entry: Mapping[str, Any]) -> str:
    """Return who answered, in words: model and server, or that nobody did and why."""
    if unanswered(entry):
        return f"nobody ({entry.get('error_class') or entry.get('status')})"
    return f"{entry.get('model')} at {entry['backend']}"
