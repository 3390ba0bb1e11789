"""A settings file of Claude Code's: what in it decides where requests go or who pays, in place of a lane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import within
from .variables import HARMLESS, decides

# A program that gives a key or starts Claude Code, and other model ids.
DECIDING = ("apiKeyHelper", "modelOverrides", "processWrapper", "proxyAuthHelper")


class UnusableError(Exception):
    """Claude Code could not use the file: `what` is wrong with it, and how the parser puts it, "" where none did."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.what, self.detail = what, f" ({detail})" if detail else ""


def parsed(text: str) -> dict[str, Any]:
    """Return the file's object; an empty file has no setting. Raises UnusableError."""
    if not text.strip():
        return {}
    try:
        settings = within.json_of(text)
    except ValueError as error:
        raise UnusableError("is not JSON", str(error)) from None
    if not isinstance(settings, dict):
        raise UnusableError("holds no JSON object")
    return settings


def deciding(settings: Mapping[str, Any], wanted: Mapping[str, str], *, proxied: bool) -> Iterator[tuple[str, ...]]:
    """Yield the keys that beat the variables `wanted`: ("env", NAME), or one of DECIDING alone.

    proxied: whether a proxy would stand between the lane and its server.
    """
    block = settings.get("env")
    for name, value in (block if isinstance(block, dict) else {}).items():
        named = name in wanted or (proxied and name.upper().endswith("_PROXY"))
        if (decides(name) or (named and name not in HARMLESS)) and wanted.get(name) != value:
            yield "env", name
    yield from ((key,) for key in DECIDING if settings.get(key))
