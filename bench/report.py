"""Results as a file, a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.cold import SCRIPT as PLAIN
from bench.racers import AHEAD, SCRIPT, SSH, START, WITHOUT

RACES = (
    "no-change-1", "no-change-guide1", "no-change-base", "no-change-1-slow", "no-change-many", "drift-1", "counts",
    "simulated", "cold", "gateway",
)  # fmt: skip
TITLES = {
    "no-change-1": "A run that changes nothing, one host",
    "no-change-guide1": "The same, a host with what the first guide sets up and nothing else",
    "no-change-base": "The same, a host that is reached and kept safe, without Claude Code",
    "no-change-1-slow": "A run that changes nothing, one host, 50 ms more of round-trip time",
    "no-change-many": "A run that changes nothing, {hosts} hosts at once",
    "drift-1": "One edited file is put right, one host",
    "counts": "What a run that changes nothing asks of one host",
    "cold": "A bare host becomes what the first guide sets up",
    "gateway": "The first byte of an answer through the gateway, and through LiteLLM as it comes (the same image)",
    "simulated": "Processor time of the controller, {simulated hosts} simulated hosts",
}
BEGIN, END = "<!-- results: written by python -m bench -->", "<!-- end of results -->"


def save(folder: Path, results: Mapping[str, Any]) -> Path:
    """Write the results of a run to its own file, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{results['date'].replace(' ', 'T').replace(':', '')}-{results['commit']}.json"
    text = json.dumps(results, indent=1, default=_plain)
    path.write_text(text + "\n")
    return path


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def newest(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the newest result of each race, with what was told of its run."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text())
        found |= {name: {**told, **race} for name, race in told.pop("races").items()}
    return {name: found[name] for name in RACES if name in found}


def publish(folder: Path, docs: Path) -> None:
    """Write the newest results into docs/performance.md, and their picture beside it."""
    races = newest(folder)
    page = docs / "performance.md"
    text = page.read_text()
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    page.write_text(f"{before}{BEGIN}\n{tables(races)}\n{after}")
    if one := races.get("no-change-1"):
        (docs / "performance.svg").write_text(picture(TITLES["no-change-1"], one["results"]))


def tables(races: Mapping[str, Mapping[str, Any]]) -> str:
    """Return Markdown: one table a race."""
    lines = ["", "Medians of interleaved rounds. Ratios can be compared between machines, seconds cannot.", ""]
    for name, race in races.items():
        measured = (
            f"{race['date']} UTC at {race['commit']}, {race['processors']} processors, {race['rounds']} rounds, load"
            f" average when it began {race['load']}."
        )
        lines += [f"### {TITLES[name].format_map(race)}", "", measured, ""]
        if name == "counts":
            lines += _counts(race["results"])
        elif name == "gateway":
            lines += _first_bytes(race["results"])
        else:
            lines += _times(race["results"], cpu=name == "simulated")
        lines.append("")
    return "\n".join(lines)


def _times(results: Sequence[Mapping[str, Any]], cpu: bool) -> list[str]:
    values = {each["name"]: each["cpu" if cpu else "seconds"] for each in results}
    floors = {}
    if START in values and SSH in values:
        floors["x (start-up + ssh)"] = values[START] + values[SSH]
    if START in values and SCRIPT in values:
        floors["x (start-up + script)"] = values[START] + values[SCRIPT]
    if PLAIN in values:
        floors["x script"] = values[PLAIN]
    floors["x Signalbox"] = values[AHEAD]
    heads = ["", "s of processor" if cpu else "s", *floors]
    rows = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, value in values.items():
        ratios = [f"{value / floor:.2f}" for floor in floors.values()]
        rows.append("| " + " | ".join([name, f"{value:.2f}", *ratios]) + " |")
    return rows


def _counts(results: Mapping[str, Mapping[str, int]]) -> list[str]:
    heads = ["", *next(iter(results.values()))]
    rows = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return rows + ["| " + " | ".join([name, *map(str, each.values())]) + " |" for name, each in results.items()]


def _first_bytes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = "", "pairs", "ms", "ms, LiteLLM", "ratio (95 %)", "ms of processor a request", "the same, LiteLLM"
    rows = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for each in results:
        ratio = f"{each['ratio']:.2f} ({each['low']:.2f} to {each['high']:.2f})"
        processor = [f"{each[name]:.0f}" for name in ("ours_processor", "stock_processor")]
        figures = [str(each["pairs"]), f"{each['ours']:.0f}", f"{each['stock']:.0f}", ratio, *processor]
        rows.append("| " + " | ".join([each["prompt"], *figures]) + " |")
    return rows


def picture(title: str, results: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG of horizontal bars, readable on a light and on a dark page."""
    width, left, row = 760, 270, 26
    longest = max(each["seconds"] for each in results)
    height = 44 + row * len(results)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="13" role="img" aria-label="{escape(title)}">',
        "<style>text{fill:#24292f}rect{fill:#8c959f}.ours{fill:#1a7f37}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>",
        f'<text x="0" y="16" font-weight="bold">{escape(title)} (seconds)</text>',
    ]
    for number, each in enumerate(results):
        top = 32 + row * number
        length = max(2.0, (width - left - 60) * each["seconds"] / longest)
        ours = ' class="ours"' if each["name"] in (AHEAD, WITHOUT) else ""
        parts += [
            f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(each["name"])}</text>',
            f'<rect{ours} x="{left}" y="{top}" width="{length:.1f}" height="18" rx="2"/>',
            f'<text x="{left + length + 6:.1f}" y="{top + 14}">{each["seconds"]:.2f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
