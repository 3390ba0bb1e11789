"""The usage page in a real browser: what its reader sees, on a wide screen and on a telephone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.launcher import usage, usage_page
from tests.unit.test_usage import CLOUD, entry

# Measures what was laid out, and leaves it where --dump-dom shows it. The page itself has no script.
MEASURE = """<script>
const box = each => { const r = each.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const chart = svg => ({
    box: box(svg),
    bars: [...svg.querySelectorAll("rect")].map(each => ({
        said: each.querySelector("title").textContent, box: box(each), colour: getComputedStyle(each).fill})),
    labels: [...svg.querySelectorAll("text")].filter(each => getComputedStyle(each).display !== "none").map(
        each => ({said: each.textContent, box: box(each)})),
});
const told = {
    width: [document.documentElement.scrollWidth, window.innerWidth],
    charts: [...document.querySelectorAll("svg")].map(chart),
    table: box(document.querySelector("table")),
    cells: [...document.querySelectorAll("td")].slice(0, 200).map(each => ({said: each.textContent, box: box(each)})),
    figures: [...document.querySelectorAll(".figures p")].map(each => each.innerText),
    asks: [...performance.getEntriesByType("resource").map(each => each.name),
           ...[...document.querySelectorAll("[src], [href], link, iframe, script")].filter(
               each => each !== document.currentScript).map(each => each.src || each.href || each.tagName)],
};
document.body.insertAdjacentHTML("beforeend", "<pre id=told>" + JSON.stringify(told).replaceAll("<", "") + "</pre>");
</script>"""
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip
Look = Callable[[str, int], dict[str, Any]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Return what a page looks like in a window of this width."""

    def measure(page: str, width: int) -> dict[str, Any]:
        file = tmp_path / "page.html"
        allowed = page.replace("default-src 'none'", "default-src file: 'unsafe-inline'")  # else nothing runs here
        file.write_text(allowed.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
        words = [*QUIET, f"--window-size={width},1400", f"--user-data-dir={tmp_path}/profile"]
        words += [f"--screenshot={tmp_path}/page-{width}.png", "--dump-dom"]
        done = subprocess.run(
            ["chromium", *words, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stdout[-2000:] + done.stderr[-2000:]
        told: dict[str, Any] = json.loads(found[1].replace("&amp;", "&").replace("&gt;", ">"))
        return told

    return measure


def page() -> str:
    days = [
        entry(time=f"2026-11-{day:02}T10:00:00+00:00", input_tokens=day * 1000, lane=lane, **more)
        for day in range(1, 15)
        for lane, more in (("local", {}), ("cloud", CLOUD))
    ]
    return usage_page.page(usage.added_up([*days, entry(lane="cloud", backend="foundry", cost_usd=None)]))


def inside(inner: list[float], outer: list[float]) -> bool:
    return all(inner[at] >= outer[at] - 1 if at < 2 else inner[at] <= outer[at] + 1 for at in range(4))


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_as_it_is_seen(look: Look, width: int) -> None:
    told = look(page(), width)
    assert told["width"][0] <= told["width"][1], "it is wider than the window"
    assert told["asks"] == [], "it asks for something else"
    assert [each.split("\n")[-1] for each in told["figures"]] == [
        "requests",
        "answered by a fallback",
        "paid to clouds",
        "local work would have cost",
    ]
    for cell in told["cells"]:
        assert inside(cell["box"], told["table"]), f"{cell['said']} is outside of the table"
    tokens, cost, compared = told["charts"]
    for chart in (tokens, cost, compared):
        for each in (*chart["bars"], *chart["labels"]):
            assert inside(each["box"], chart["box"]), f"{each['said']} is cut off"
        axis = [each["said"] for each in chart["labels"] if not re.fullmatch(r"\d\d-\d\d", each["said"])]
        assert len(axis) == len(set(axis)) == 3, f"the axis does not tell: {axis}"
        assert all(re.fullmatch(r"\$?\d+(\.\d{1,2})?[kM¢]?", each) for each in axis), f"no round numbers: {axis}"
    seen = {each["said"]: each["box"][3] - each["box"][1] for each in tokens["bars"]}
    assert seen["2026-11-14, lmstudio: 14,015"] == pytest.approx(
        seen["2026-11-07, lmstudio: 7,015"] * 14015 / 7015, 0.02
    )
    assert len({each["colour"] for each in tokens["bars"]}) == 3  # a colour for each backend
    days = sorted(each["box"] for each in tokens["labels"] if re.fullmatch(r"\d\d-\d\d", each["said"]))
    assert len(days) >= 4
    assert all(left[2] <= right[0] + 1 for left, right in pairwise(days)), "labels lie on each other"


def test_the_look_sees_what_is_wrong(look: Look) -> None:
    wide = page().replace("<h1>", '<div style="width: 2000px">x</div><img src="file:///nonesuch.png"><h1>')
    told = look(wide, 800)
    assert told["width"][0] > told["width"][1]
    assert told["asks"] == ["file:///nonesuch.png"]


TAKE = "document.title='taken'"
ATTACK = f'<script>{TAKE}</script><img src=x onerror="{TAKE}">\'"></title><b>\x1b]0;t\x07\u202e'
TEXTS = ("day", "lane", "backend")


def test_words_of_others_are_words_in_the_page() -> None:
    rows = usage.added_up([entry(lane=ATTACK, backend=ATTACK, time="2026-11-20T00:00:00+00:00")])
    told = usage_page.page([{**row, "day": f"2026-{ATTACK}"} for row in rows], title=ATTACK)
    for word in ("<script", "<img", "<b>\\x1b", "\x1b", "\x07", "\u202e"):
        assert word not in told, word
    assert told.count("&lt;script&gt;") >= 2 + len(TEXTS)


def test_no_script_runs_in_the_page(tmp_path: Path) -> None:
    """What got in all the same does not run: the page says that it has no script."""

    def titles(text: str) -> str:
        file = tmp_path / "page.html"
        file.write_text(text.replace("<h1>", "<script>document.title = 'taken'</script><h1>"), encoding="utf-8")
        words = ["chromium", *QUIET, f"--user-data-dir={tmp_path}/profile", "--dump-dom", file.as_uri()]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        return re.findall(r"<title>(.*?)</title>", done.stdout)[0]

    assert titles(page()) == "Claude usage"
    assert titles(page().replace("Content-Security-Policy", "x")) == "taken"  # else the first line shows nothing
