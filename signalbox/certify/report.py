"""The report of a certification: a verdict, and a file beside the inventory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from signalbox.certify.checks import AGENT, FAILED, PASSED, Row
from signalbox.certify.known import DIRECTORY


@dataclass(frozen=True)
class Report:
    """What a certification came to; `date` in UTC (ISO 8601), `context` in tokens, `agent`: Claude Code itself ran."""

    backend: str
    kind: str
    model: str
    quantisation: str
    server: str
    context: int
    date: str
    agent: bool
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether no row failed."""
        return bool(self.rows) and all(row.result != FAILED for row in self.rows)

    @property
    def verdict(self) -> str:
        """What of it was shown: "certified" only where Claude Code itself has done all that it is given to do."""
        if not self.passed:
            return "failed"
        tasks = [row.result for row in self.rows if row.name.startswith(AGENT)]
        return "certified" if self.agent and tasks and set(tasks) == {PASSED} else "protocol only"

    @property
    def reasons(self) -> list[str]:
        """The symptoms of the rows that failed."""
        return list(dict.fromkeys(row.symptom for row in self.rows if row.result == FAILED and row.symptom))

    def to_json(self) -> dict[str, Any]:
        """Return it as its file holds it."""
        return {**asdict(self), "verdict": self.verdict, "reasons": self.reasons}

    def write(self, directory: Path = DIRECTORY) -> Path:
        """Write it to the directory; return the file. A later one on the same model and quantisation replaces it."""
        directory.mkdir(exist_ok=True)
        words = "-".join(word for word in (self.kind, self.model, self.quantisation) if word)
        name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in words)
        file = directory / f"{name}.json"
        file.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        return file
