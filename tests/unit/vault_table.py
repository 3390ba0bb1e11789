"""docs/drills/vault.md: what the vault says of each damage and each refusal, as it says it now.

python -m tests.unit.vault_table > docs/drills/vault.md
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.unit.vault_refusals import REFUSALS, refused
from tests.unit.vault_tampers import TAMPERS, told

HEAD = """# vault: what was tampered with is refused, and nothing is half written

It must show: the round trip and the tamper table (at least 25 cases: flipped bits in every part, swapped names, old
header, wrong passphrase, unreadable key file, two writers at once, disk full during rotation), plus property tests.

`make test` runs all {cases} cases and compares this page with what is said: `tests/unit/vault_tampers.py` damages a
file's text, `tests/unit/vault_refusals.py` breaks what is around it. In each no value is shown, no file is changed, and
the message below is the whole of what is said. What is mended works again. `tests/unit/test_vault.py` holds the
property tests: the round trip, one line changed for one secret set, a rotation that keeps every value and no
ciphertext, and no changed character that goes unseen.

Written by `python -m tests.unit.vault_table > docs/drills/vault.md`.
"""


def render() -> str:
    """Return the page's text."""
    damaged = {case: told(case) for case in TAMPERS}
    said = {case: _in_a_directory(case) for case in REFUSALS}
    return "\n".join(
        [
            HEAD.format(cases=len(damaged) + len(said)),
            "## The file was tampered with",
            "",
            *_table("in the file", damaged),
            "",
            "## Something else is wrong",
            "",
            *_table("what is wrong", said),
            "",
        ]
    )


def _in_a_directory(case: str) -> str:
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        return refused(REFUSALS[case])


def _table(what: str, rows: Mapping[str, str]) -> list[str]:
    return [f"| {what} | it says |", "| --- | --- |", *(f"| {case} | {_cell(text)} |" for case, text in rows.items())]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    Path("/dev/stdout").write_text(render())
