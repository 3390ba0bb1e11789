"""Records a real run of `signalbox init` on a bare lab host: docs/recording.svg. As root; takes about a minute.

SIGNALBOX_LAB=rec python -m tests.recording
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.drills.init import person_at, right
from tests.drills.person import Person
from tests.drills.record import PROJECT
from tests.lab import hosts, services

HOST = "recorded"
OUTPUT = PROJECT / "docs" / "recording.svg"
WIDTH = 118
_SPINNER = re.compile(r"\x1b\[\?25[lh]|(?:\x1b\[2K)?\x1b\[32m[⠀-⣿]\x1b\[0m [^\r\n]*\r?\n?|\r?\n?\x1b\[1A\x1b\[2K")


def screen(said: str) -> str:
    """Return what stays on the screen when spinners have gone."""
    text = _SPINNER.sub("", said).replace("\r", "")
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def main() -> None:
    """Record, and take the host away again."""
    hosts.up([HOST])
    try:
        with person_at(key=True) as (project, home):
            authorities = services.lab_settings()["extra_ca_certificates"]
            (home / "company-ca.pem").write_text("".join(Path(path).read_text() for path in authorities))
            answers = {**right(HOST), "ca_certificates": "~/company-ca.pem"}
            with Person(project, home) as person:
                while (question := person.question()) not in ("deploy", ""):
                    person.answer(answers.get(question, ""))
                person.answer("n")
                person.ended()
                said = person.said
    finally:
        hosts.down([HOST])
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ signalbox init", style="bold"))
    console.print(Text.from_ansi(screen(said)))
    OUTPUT.write_text(console.export_svg(title="signalbox init", clear=False))
    print(OUTPUT.relative_to(PROJECT))


if __name__ == "__main__":
    main()
