"""claude-usage: tokens and cost of this host's gateway by day, lane and backend, from its audit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from ..shared import audit, within
from ..shared.output import EX_CONFIG, EX_USAGE, fail, shown, tell, tell_json
from . import usage_page
from .records import read_records

USAGE = """\
claude-usage [--days NUMBER] [--json] [--html FILE]

Shows tokens and cost by day (UTC), lane and backend, and what local work would have cost in the cloud. --days: only
of the last so many days. --html writes a page with charts that needs nothing else."""

Row = dict[str, Any]
KEY = ("day", "lane", "backend", "rule")
SUMS = ("requests", "failed_over", "failed", "estimated", "unpriced", "input_tokens", "output_tokens", "cached_tokens",
        "cost_usd", "compared_usd")  # fmt: skip


def main(arguments: Sequence[str]) -> NoReturn:
    """Print what the audit adds up to."""
    days, page, as_json = 0, "", False
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            tell(*USAGE.splitlines())
            sys.exit(0)
        if word == "--json":
            as_json = True
        elif word == "--days" and words and words[0].isdigit():
            days = int(words.pop(0))
        elif word == "--html" and words:
            page = words.pop(0)
        else:
            fail(EX_USAGE, USAGE)
    rows = added_up(since(entries(Path(read_records()["audit"])), days))
    if page:
        try:
            Path(page).write_text(usage_page.page(rows), encoding="utf-8")
        except OSError as error:
            fail(EX_CONFIG, f"{page} cannot be written ({error.strerror})")
    if as_json:
        tell_json(rows)
    elif not page:
        tell(*table(rows)) if rows else tell("no request yet")
    sys.exit(0)


def entries(path: Path) -> Iterator[audit.Entry]:
    """Yield every entry of the audit, those of files that were moved aside too."""
    for file in within.names_in(path.parent, f"{path.stem}*{path.suffix}"):
        try:
            yield from audit.parsed(within.lines_of(file))
        except OSError as error:
            fail(EX_CONFIG, f"{file} cannot be read ({error.strerror}); run the deploy again")


def since(found: Iterable[audit.Entry], days: int) -> Iterator[audit.Entry]:
    """Yield the entries of today and the days before, `days` in all; 0: every one."""
    first = (datetime.now(UTC) - timedelta(days=days - 1)).strftime("%Y-%m-%d")
    return (entry for entry in found if not days or str(entry.get("time")) >= first)


def added_up(found: Iterable[audit.Entry]) -> list[Row]:
    """Return a row for each day, lane, backend and rule; what nobody answered has the backend None."""
    return merged(_row(entry) for entry in found)


def merged(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with those of one day, lane, backend and rule added up, in order."""
    result: dict[tuple[str, ...], Row] = {}
    for row in rows:
        at = tuple(str(row[name] or "") for name in KEY)
        total = result.setdefault(at, {**{name: row[name] for name in KEY}, **dict.fromkeys(SUMS, 0)})
        for name in SUMS:
            total[name] += row[name]
    for total in result.values():
        total["cost_usd"], total["compared_usd"] = (round(total[name], 6) for name in ("cost_usd", "compared_usd"))
    return [result[at] for at in sorted(result)]


def _row(entry: Mapping[str, Any]) -> Row:
    def number(name: str) -> Any:
        return entry.get(name) or 0

    return {
        "day": str(entry.get("time"))[:10],
        "lane": entry.get("lane"),
        "backend": entry.get("backend") if number("status") < 400 else None,
        "rule": entry.get("rule"),
        "requests": 1,
        "failed_over": int(bool(entry.get("fallback"))),
        "failed": int(not 0 < number("status") < 400),
        "estimated": int(bool(entry.get("estimated"))),
        "unpriced": int(entry.get("cost_usd") is None),
        **{name: number(name) for name in SUMS[5:]},
    }


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines of text, with their sum and what local work would have cost."""
    head = ("day", "lane", "backend", "requests", "failed over", "failed", "tokens in", "cached", "out", "cost")
    lines = [head, *(tuple(map(shown, _cells(row))) for row in rows)]  # before their widths are measured
    (total,) = merged({**row, "day": "all", "lane": "", "backend": "", "rule": None} for row in rows)
    lines.append(_cells({**total, "backend": ""}))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = []
    for line in lines:
        words = [cell.ljust(widths[at]) if at < 3 else cell.rjust(widths[at]) for at, cell in enumerate(line)]
        text.append("  ".join(words).rstrip())
    text.append(f"Local work would have cost {usage_page.dollars(total['compared_usd'])} in the cloud.")
    return [*text, *usage_page.notes(rows)]


def _cells(row: Row) -> tuple[str, ...]:
    about = "~" if row["estimated"] else ""
    return (
        row["day"],
        usage_page.lane_of(row),
        row["backend"] if row["backend"] is not None else "nobody",
        *(str(row[name]) for name in ("requests", "failed_over", "failed")),
        about + str(row["input_tokens"]),
        str(row["cached_tokens"]),
        about + str(row["output_tokens"]),
        usage_page.dollars(row["cost_usd"]) + "+" * bool(row["unpriced"]),
    )
