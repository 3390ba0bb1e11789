"""The pages that drills write: what has not run here stays as it was."""

from __future__ import annotations

import re
from pathlib import Path

from tests.drills import a_life, record, reports

HEAD = ["# drift: the rows", "", "Two ways."]


def test_a_page_is_read_as_it_was_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert record.sections(page) == {}
    modes = [record.row(("/etc/one", "mode 644 | 600", "named")), record.row(("/etc/two", "removed", "named"))]
    record.write_sections(page, HEAD, {"modes": ("thing | done | said", modes), "units": ("thing | said", [])})
    assert page.read_text().startswith("# drift: the rows\n\nTwo ways.\n\n## modes\n\n| thing | done | said |\n")
    assert record.sections(page) == {"modes": modes, "units": []}


def test_what_a_report_is_told_by_is_looked_at_on_the_lived_in_host() -> None:
    looked_at = {*a_life.LIFE, *a_life.ASKED, *a_life.ROOTS, *a_life.OUTSIDE}
    assert len(reports.REPORTS) >= 10
    for each in reports.REPORTS:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+/(issues|pull)/\d+", each.at), each.at
        assert set(each.tells) <= looked_at, each
