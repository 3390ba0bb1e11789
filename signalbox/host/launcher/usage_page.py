"""The usage page: one HTML file with charts, which needs no other file, no script and no network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..shared.output import shown

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 280, 76, 36  # of a chart, in its own units
LABELS = 8  # days that are named below a chart; on a telephone every other one
COLOURS = ("#2f6f4f", "#b5532a", "#3b5b92", "#8a6d1f", "#7a3b69", "#4a4a4a")  # dark on white, told apart in grey too
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }
h1, h2 { font-weight: 600; line-height: 1.2; } h2 { margin-top: 2.5rem; font-size: 1.2rem; }
svg { width: 100%; max-width: 56rem; height: auto; display: block; } svg text { font-size: 12px; fill: #444; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; vertical-align: bottom; padding: .3rem .5rem; border-bottom: 1px solid #ddd; }
td { white-space: nowrap; } td:nth-child(3) { white-space: normal; overflow-wrap: anywhere; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
.key span { display: inline-block; margin-right: 1.2em; } .key i { display: inline-block; width: .8em; height: .8em;
       margin-right: .4em; }
.figures { display: flex; gap: 1rem 3rem; flex-wrap: wrap; } .figures p { margin: 0; }
.figures b { display: block; font-size: 1.8rem; }
@media (max-width: 40rem) {
  svg text { font-size: 22px; } svg .other { display: none; }
  thead { display: none; } tr { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; padding: .6rem 0;
       border-bottom: 1px solid #bbb; }
  td, td:nth-child(-n+3) { display: flex; justify-content: space-between; text-align: right; white-space: normal;
       border: 0; padding: .1rem 0; }
  td::before { content: attr(data-name); color: #555; text-align: left; white-space: nowrap;
       margin-right: .5rem; }
}
"""
NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'"  # no script, and nothing that is loaded
COLUMNS = {
    "day": "day", "lane": "lane", "backend": "backend", "requests": "requests", "failed_over": "failed over",
    "failed": "failed", "input_tokens": "tokens in", "cached_tokens": "cached", "output_tokens": "tokens out",
    "cost_usd": "cost", "compared_usd": "in the cloud",
}  # fmt: skip


def page(rows: Sequence[Mapping[str, Any]], title: str = "Claude usage") -> str:
    """Return the page of these rows, as `usage.added_up` makes them."""
    cost, saved = (sum(row[name] for row in rows) for name in ("cost_usd", "compared_usd"))
    requests, over = (sum(row[name] for row in rows) for name in ("requests", "failed_over"))
    figures = (
        ("requests", _count(requests)),
        ("answered by a fallback", _count(over)),
        ("paid to clouds", dollars(cost)),
        ("local work would have cost", dollars(saved)),
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_ELSE}">',
            f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{_text(title)}</h1>",
            '<div class="figures">'
            + "".join(f"<p><b>{_text(value)}</b>{name}</p>" for name, value in figures)
            + "</div>",
            *(f"<p>{note}</p>" for note in notes(rows)),
            "<h2>Tokens a day, by backend</h2>",
            _chart(rows, "backend", ("input_tokens", "output_tokens", "cached_tokens"), _count),
            "<h2>Cost a day, by lane</h2>",
            _chart(rows, "lane", ("cost_usd",), dollars),
            "<h2>What local work would have cost in the cloud</h2>",
            _chart(rows, "backend", ("compared_usd",), dollars),
            "<h2>All of it</h2>",
            _table(rows),
            "</body></html>\n",
        ]
    )


def _text(words: str) -> str:
    """Return words for a page's text or attribute; what is hidden in them is written out."""
    return escape(shown(words))


def notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the figures leave out."""
    estimated, unpriced = (sum(row[name] for row in rows) for name in ("estimated", "unpriced"))
    if estimated:
        yield f"~ requests that their servers did not count, which are estimated: {_count(estimated)}"
    if unpriced:
        yield f"+ requests without a known price, so that the cost is more than what is told: {_count(unpriced)}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def dollars(amount: float) -> str:
    """Return an amount of US dollars in words, to the cent wherever usage is told."""
    return "<$0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"


def _round(top: float) -> float:
    """Return the next number above whose half is easily read, too: 1, 1.2, 2 and so on, and zeros."""
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * power >= top)


def _short(value: float, form: Callable[[float], str]) -> str:
    """Return a number beside an axis, such as 6M for 6,000,000 tokens."""
    sign = "$" if form is dollars else ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{sign}{value / size:g}{letter}"
    if sign and 0 < value < 0.01:
        return f"{value * 100:g}¢"
    return f"{sign}{value:g}" if not sign or value == round(value) else f"{sign}{value:.2f}"


def _chart(rows: Sequence[Mapping[str, Any]], by: str, what: Sequence[str], form: Callable[[float], str]) -> str:
    """Return stacked bars, one a day, as inline SVG with its key."""
    days = sorted({row["day"] for row in rows})
    groups = sorted({str(row[by] or "none") for row in rows})
    height: dict[tuple[str, str], float] = {}
    for row in rows:
        at = (row["day"], str(row[by] or "none"))
        height[at] = height.get(at, 0) + sum(row[name] for name in what)
    top = max((sum(height.get((day, group), 0) for group in groups) for day in days), default=0)
    if not top:
        return "<p>Nothing yet.</p>"
    top = _round(top)
    step = (WIDTH - LEFT) / len(days)
    scale = (HEIGHT - BOTTOM - 16) / top
    parts = []
    for line in (0.0, 0.5, 1.0):
        y = HEIGHT - BOTTOM - top * line * scale
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(top * line, form)}</text>')
    for number, day in enumerate(days):
        y = float(HEIGHT - BOTTOM)
        x, width = LEFT + number * step + step * 0.15, min(step * 0.7, 60)
        for colour, group in enumerate(groups):
            value = height.get((day, group), 0)
            y -= value * scale
            told = f"{day}, {group}: {form(value)}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{value * scale:.1f}"'
                f' fill="{COLOURS[colour % len(COLOURS)]}"><title>{_text(told)}</title></rect>'
            )
        if number % (every := math.ceil(len(days) / LABELS)) == 0:
            middle = min(max(x + width / 2, LEFT - 8), WIDTH - 34)  # half of a label must fit beside it
            shown_where = ' class="other"' if number // every % 2 else ""
            parts.append(
                f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle"{shown_where}>{_text(day[5:])}</text>'
            )
    key = "".join(
        f'<span><i style="background:{COLOURS[at % len(COLOURS)]}"></i>{_text(group)}</span> '
        for at, group in enumerate(groups)
    )
    label = _text(f"{' and '.join(what)} a day by {by}")
    chart = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f'{chart}<p class="key">{key}</p>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in COLUMNS.values())
    body = "".join(
        "<tr>" + "".join(f'<td data-name="{COLUMNS[name]}">{_cell(row, name)}</td>' for name in COLUMNS) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def lane_of(row: Mapping[str, Any]) -> str:
    """Return a row's lane, with the rule of gateway.rules that said who answers there, if one did."""
    lane = row["lane"] if row["lane"] is not None else "-"
    return f"{lane} ({row['rule']})" if row["rule"] else str(lane)


def _cell(row: Mapping[str, Any], name: str) -> str:
    if name == "lane":
        return _text(lane_of(row))
    value = row[name]
    if name.endswith("_usd"):
        return _text(dollars(value)) + ("+" if name == "cost_usd" and row["unpriced"] else "")
    about = "~" if name.endswith("_tokens") and row["estimated"] else ""
    return about + _text(
        f"{value:,}" if isinstance(value, int) else str(value or ("nobody" if name == "backend" else "-"))
    )
