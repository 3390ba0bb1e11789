"""The symptoms on the controller: read from their one file, and made into docs/troubleshooting.md.

`python -m signalbox.fleet.symptoms > docs/troubleshooting.md`
"""

from __future__ import annotations

from signalbox.desired.symptoms import known
from signalbox.host.doctor.symptoms import WARNING, Symptom

_HEAD = """\
# Troubleshooting

On the host, `claude-doctor` tells which of these it is; as root it sees more. `claude-doctor --fix` carries out the
cures that are safe and keeps what they replace. `claude-doctor --explain 'MESSAGE'` finds the row of an error message.
From your laptop, `signalbox verify` asks all hosts at once ([verify.md](verify.md)).

This page is made from [symptoms.yaml](../signalbox/host/doctor/symptoms.yaml), which the commands read too. In a
message, `*` stands for anything. The guides are numbered as in that file.
"""


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
