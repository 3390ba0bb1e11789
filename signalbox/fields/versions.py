"""Exact versions, checksums and digests."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator

from signalbox.fields.checks import checked, matching
from signalbox.fields.messages import show


def _version(value: str) -> str:
    if value.startswith("v") and value[1:2].isdigit():
        raise ValueError(f"{show(value)} has a v in front; write {show(value[1:])}")
    if not re.fullmatch(r"\d+\.\d+\.\d+([.-][0-9A-Za-z.-]+)?", value):
        raise ValueError(f'{show(value)} is not one exact version; write all three numbers, as in "1.2.3"')
    return value


def _integrity(value: str) -> str:
    try:
        good = value.startswith("sha512-") and len(base64.b64decode(value[7:], validate=True)) == 64
    except binascii.Error:
        good = False
    if not good:
        raise ValueError(f"{show(value)} is not an npm integrity (sha512- and 64 bytes in base64); run `signalbox pin`")
    return value


def _pin(prefix: str, what: str) -> AfterValidator:
    return matching(rf"{prefix}[0-9a-f]{{64}}", what, "nothing by hand: set it to None and run `signalbox pin`")


Version = Annotated[str, checked(_version)]
Integrity = Annotated[str, checked(_integrity)]
Sha256 = Annotated[str, _pin("", "a sha256 (64 of 0-9 and a-f)")]
Digest = Annotated[str, _pin("sha256:", "an image digest (sha256: and 64 of 0-9 and a-f)")]
