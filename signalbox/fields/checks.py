"""Checks that kinds of values are made of: what is wrong with a value, and what to write instead.

A value that still holds a placeholder such as `<LMSTUDIO_IP>` passes here: whether it may stay
depends on whether its section is enabled, which settings/rules/texts.py decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import AfterValidator

from signalbox.fields.messages import show

PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*>")


def checked(check: Callable[[str], str]) -> AfterValidator:
    """A validator from a check that returns the value or raises ValueError with what to write."""
    return AfterValidator(lambda value: value if PLACEHOLDER.search(value) else check(value))


def matching(pattern: str, what: str, write: str) -> AfterValidator:
    """A string that is a `what`; `write` tells a right one."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{show(value)} is not {what}; write {write}")
        return value

    return checked(check)


def between(low: int, high: int, unit: str) -> AfterValidator:
    """A whole number of `unit` within both bounds."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range; write {low} to {high} ({unit})")
        return value

    return AfterValidator(check)
