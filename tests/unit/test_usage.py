"""What the audit adds up to, as rows, as a table and as a page."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.launcher import usage, usage_page

TODAY = datetime.now(UTC).strftime("%Y-%m-%d")


def entry(**more: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-20T23:59:59.000+00:00",
        "lane": "local",
        "backend": "lmstudio",
        "fallback": None,
        "status": 200,
        "input_tokens": 100,
        "output_tokens": 10,
        "cached_tokens": 5,
        "estimated": False,
        "cost_usd": 0.0,
        "compared_usd": 0.002,
        **more,
    }


CLOUD = {"backend": "anthropic", "cost_usd": 0.5, "compared_usd": None}
FAILED = {
    "backend": None,
    "status": 500,
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_tokens": 0,
    "compared_usd": None,
}


def test_rows_are_sums_by_day_lane_and_backend() -> None:
    rows = usage.added_up(
        [entry(), entry(estimated=True), entry(fallback="local", **CLOUD), entry(time="2026-11-21T00:00:01+00:00")]
    )
    assert [(row["day"], row["backend"], row["requests"]) for row in rows] == [
        ("2026-11-20", "anthropic", 1),
        ("2026-11-20", "lmstudio", 2),
        ("2026-11-21", "lmstudio", 1),
    ]
    assert (rows[0]["failed_over"], rows[0]["cost_usd"], rows[1]["compared_usd"]) == (1, 0.5, 0.004)
    assert (rows[1]["input_tokens"], rows[1]["estimated"]) == (200, 1)
    assert usage.merged([*rows, *rows])[1]["requests"] == 4


def test_what_failed_and_what_has_no_price_is_told() -> None:
    rows = usage.added_up([entry(**FAILED), entry(**{**CLOUD, "cost_usd": None}), entry(status=None, backend=None)])
    assert [(row["backend"], row["failed"], row["unpriced"]) for row in rows] == [(None, 2, 0), ("anthropic", 0, 1)]
    lines = usage.table(rows)
    assert "nobody" in lines[1]
    assert lines[-1] == "+ requests without a known price, so that the cost is more than what is told: 1"


def test_the_table_ends_in_a_sum() -> None:
    lines = usage.table(usage.added_up([entry(), entry(estimated=True), entry(**CLOUD)]))
    assert lines[3].split() == ["all", "3", "0", "0", "~300", "15", "~30", "$0.50"]
    assert "Local work would have cost <$0.01 in the cloud." in lines


def test_files_that_were_moved_aside_count(tmp_path: Path) -> None:
    for name in ("requests.jsonl", "requests.1.jsonl", "other.jsonl"):
        (tmp_path / name).write_text(json.dumps(entry()) + "\nhalf a li")
    assert len(list(usage.entries(tmp_path / "requests.jsonl"))) == 2


def test_the_last_days_count_from_today() -> None:
    found = [entry(), entry(time=f"{TODAY}T00:00:00+00:00")]
    assert [len(list(usage.since(found, days))) for days in (0, 1)] == [2, 1]


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    rows = usage.added_up([entry(), entry(lane="<b>&", **CLOUD), entry(**FAILED)])
    text = usage_page.page(rows)
    assert not [word for word in ("http:", "https:", "src=", "<script", "<link", "@import", "url(") if word in text]
    assert "&lt;b&gt;&amp;" in text
    charts = [ET.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", text)]  # noqa: S314 (our own)
    assert [len(chart.findall("rect")) for chart in charts] == [3, 2, 3]
    heights = [float(bar.get("height", "")) for bar in charts[1].findall("rect")]
    room = usage_page.HEIGHT - usage_page.BOTTOM - 16
    assert max(heights) == pytest.approx(room)  # the day's cost is one lane's; half a dollar is round
    assert sum(heights) == pytest.approx(room)


@pytest.mark.parametrize(
    ("cost", "axis"),
    [
        (10.61, ["$0", "$6", "$12"]),
        (0.5, ["$0", "$0.25", "$0.50"]),
        (7.4, ["$0", "$4", "$8"]),
        (1234.0, ["$0", "$800", "$1.6k"]),
        (0.004, ["$0", "0.2¢", "0.4¢"]),
        (2.3, ["$0", "$1.20", "$2.40"]),
    ],
)
def test_an_axis_has_round_numbers(cost: float, axis: list[str]) -> None:
    text = usage_page.page(usage.added_up([entry(backend="anthropic", cost_usd=cost, compared_usd=None)]))
    chart = ET.fromstring(re.findall(r"<svg.*?</svg>", text)[1])  # noqa: S314 (our own)
    assert [str(each.text) for each in chart.findall("text")][:3] == axis


@pytest.mark.parametrize(("amount", "said"), [(0, "$0.00"), (0.004, "<$0.01"), (0.5, "$0.50"), (1234.567, "$1,234.57")])
def test_dollars_are_told_to_the_cent_everywhere(amount: float, said: str) -> None:
    assert usage_page.dollars(amount) == said
    rows = usage.added_up([entry(backend="anthropic", cost_usd=amount, compared_usd=None)])
    assert usage.table(rows)[1].endswith(said)
    assert usage_page.page(rows).count(said.replace("<", "&lt;")) >= 2


def test_nothing_yet_is_said() -> None:
    assert "Nothing yet." in usage_page.page([])
