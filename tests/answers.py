"""Answers as a host gives them to facts: fields, each ended by NUL, on one line of base64."""

from __future__ import annotations

import base64

from signalbox.shell import answer


def answered(*fields: str | bytes, end: bool = True) -> list[str]:
    """Return the lines that a fact reads when a host tells these fields; `end` False: and breaks off there."""
    told = [each if isinstance(each, bytes) else each.encode() for each in (*fields, *([answer._END] if end else []))]
    return ["", answer._MARK + base64.b64encode(b"".join(each + b"\0" for each in told)).decode()]


def heard(text: str) -> list[str]:
    """Return the lines that come when a script of `heard` prints this."""
    return ["", answer._MARK + base64.b64encode(text.encode()).decode()]


def claimed(text: str) -> str:
    """Return the field in which a user's own process says this."""
    return base64.b64encode(text.encode()).decode()


def text_field(text: str) -> str:
    """Return a file's text as a `text` record has it."""
    return text.encode().hex()


def user_answered(*lines: str) -> list[str]:
    """Return the answer to facts.User that says what these lines say, each behind its tag.

    The tags are passwd, subuid, subgid, range (of getsubids), entry (of the manifest), has and expires.
    """
    told = {tag: [line.removeprefix(f"{tag} ") for line in lines if line.startswith(f"{tag} ")]
            for tag in ("passwd", "subuid", "subgid", "range", "entry", "has", "expires")}  # fmt: skip
    account = "".join(told["passwd"])
    name, fields = account.partition(":")[0], ["passwd", account]
    for tag, lines_of in (("subuid", "subuid"), ("subgid", "subgid"), ("known", "range")):
        fields += [tag, "\n".join(told[lines_of])]
    fields += [word for tag in ("has", "expires") for said in told[tag] for word in (tag, said)]
    return answered(*fields, *(word for line in told["entry"] for word in ("entry", name, line)))
