"""The usage page: one HTML file with charts, which needs no other file, no script and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from .speak import shown

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 70, 24  # of a chart, in its own units
COLOURS = ("#2f6f4f", "#b5532a", "#3b5b92", "#8a6d1f", "#7a3b69", "#4a4a4a")  # dark on white, told apart in grey too
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1, h2 { font-weight: 600; line-height: 1.2; } h2 { margin-top: 2.5rem; font-size: 1.2rem; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 12px; fill: #444; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1.2em; }
.figures { display: flex; gap: 3rem; flex-wrap: wrap; } .figures b { display: block; font-size: 1.8rem; }
"""
NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'"  # no script, and nothing that is loaded
COLUMNS = {
    "day": "day", "lane": "lane", "backend": "backend", "requests": "requests", "failed_over": "failed over",
    "failed": "failed", "input_tokens": "tokens in", "cached_tokens": "cached", "output_tokens": "tokens out",
    "cost_usd": "cost (USD)", "compared_usd": "in the cloud (USD)",
}  # fmt: skip


def page(rows: Sequence[Mapping[str, Any]], title: str = "Claude usage") -> str:
    """Return the page of these rows, as `usage.added_up` makes them."""
    cost, saved = (sum(row[name] for row in rows) for name in ("cost_usd", "compared_usd"))
    requests, over = (sum(row[name] for row in rows) for name in ("requests", "failed_over"))
    figures = (
        ("requests", f"{requests}"),
        ("answered by a fallback", f"{over}"),
        ("paid to clouds", _dollars(cost)),
        ("local work would have cost", _dollars(saved)),
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_ELSE}">',
            f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{_text(title)}</h1>",
            '<div class="figures">' + "".join(f"<p><b>{value}</b>{name}</p>" for name, value in figures) + "</div>",
            *(f"<p>{note}</p>" for note in _notes(rows)),
            "<h2>Tokens a day, by backend</h2>",
            _chart(rows, "backend", ("input_tokens", "output_tokens", "cached_tokens"), _count),
            "<h2>Cost a day, by lane (USD)</h2>",
            _chart(rows, "lane", ("cost_usd",), _dollars),
            "<h2>What local work would have cost in the cloud (USD)</h2>",
            _chart(rows, "backend", ("compared_usd",), _dollars),
            "<h2>All of it</h2>",
            _table(rows),
            "</body></html>\n",
        ]
    )


def _text(words: str) -> str:
    """Return words for a page's text or attribute; what is hidden in them is written out."""
    return escape(shown(words))


def _notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the figures leave out."""
    estimated, unpriced = (sum(row[name] for row in rows) for name in ("estimated", "unpriced"))
    if estimated:
        yield f"~ {estimated} requests were not counted by their servers and are estimated."
    if unpriced:
        yield f"+ {unpriced} requests have no known price: the cost is more than what is told here."


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 1 or not value else f"${value:.4f}"


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
    step = (WIDTH - LEFT) / len(days)
    scale = (HEIGHT - BOTTOM - 16) / top
    parts = []
    for line in (0.0, 0.5, 1.0):
        y = HEIGHT - BOTTOM - top * line * scale
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{form(top * line)}</text>')
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
        if number % max(1, len(days) // 10) == 0:
            parts.append(f'<text x="{x + width / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{_text(day[5:])}</text>')
    key = "".join(
        f'<span style="background:{COLOURS[at % len(COLOURS)]}"></span>{_text(group)}'
        for at, group in enumerate(groups)
    )
    label = _text(f"{' and '.join(what)} a day by {by}")
    chart = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f'{chart}<p class="key">{key}</p>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in COLUMNS.values())
    body = "".join("<tr>" + "".join(f"<td>{_cell(row, name)}</td>" for name in COLUMNS) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, float):
        return f"{value:.4f}" + ("+" if name == "cost_usd" and row["unpriced"] else "")
    about = "~" if name.endswith("_tokens") and row["estimated"] else ""
    return about + _text(
        f"{value:,}" if isinstance(value, int) else str(value or ("nobody" if name == "backend" else "-"))
    )
