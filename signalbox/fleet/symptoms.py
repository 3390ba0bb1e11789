"""The symptoms on the controller: read from their one file, and made into docs/troubleshooting.md.

`python -m signalbox.fleet.symptoms > docs/troubleshooting.md`
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from signalbox.host import doctor
from signalbox.host.doctor.symptoms import WARNING, Symptom, of_rows

FILE = Path(doctor.__file__).with_name("symptoms.yaml")

_HEAD = """\
# Troubleshooting

On the host, `claude-doctor` tells which of these it is; as root it sees more. `claude-doctor --fix` carries out the
cures that are safe and keeps what they replace. `claude-doctor --explain 'MESSAGE'` finds the row of an error message.
From your laptop, `signalbox verify` asks all hosts at once ([verify.md](verify.md)).

This page is made from [symptoms.yaml](../signalbox/host/doctor/symptoms.yaml), which the commands read too. In a
message, `*` stands for anything. The guides are numbered as in that file.
"""


@cache
def rows() -> dict[str, dict[str, Any]]:
    """Return the file's rows by id."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where libyaml is
    read: dict[str, dict[str, Any]] = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506 (both are safe)
    return read


@cache
def known() -> dict[str, Symptom]:
    """Return the symptoms by id."""
    return of_rows(rows())


def words(ident: str, seen: str) -> str:
    """Return a sentence on a symptom, as every command that runs on this machine tells it."""
    row = known()[ident]
    return f"{row.symptom} [{ident}]: {seen}; {row.cure}"


def page() -> str:
    """Return docs/troubleshooting.md."""
    return "\n".join([_HEAD, *map(_section, known().values())])


def _section(symptom: Symptom) -> str:
    lines = [f"## {symptom.symptom}", ""]
    if symptom.messages:
        lines += [f"Messages: {', '.join(_code(message) for message in symptom.messages)}", ""]
    lines += [f"- **Cause**: {_text(symptom.cause)}", f"- **Cure**: {_text(symptom.cure)}"]
    seen = f"claude-doctor looks at {symptom.check}" if symptom.check else "it cannot be seen from the host"
    lines.append(f"- **Seen by**: {_text(seen)} (`{symptom.id}`{', a warning' if symptom.level == WARNING else ''})")
    if symptom.fix:
        lines.append(f"- **`--fix`**: {_text(symptom.fix)}")
    if symptom.source:
        lines.append(f"- Guide {_text(symptom.source)}")
    return "\n".join([*lines, ""])


def _code(message: str) -> str:
    return f"`` {message} ``" if "`" in message else f"`{message}`"


def _text(words: str) -> str:
    # Outside of code, angle brackets would be taken for HTML.
    return words if "`" in words else words.replace("<", "\\<")


if __name__ == "__main__":
    print(page(), end="")
