"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from signalbox.settings.problems import Problem
from signalbox.settings.sections import Sections

Raw = Mapping[str, Any]
Rule = Callable[[Sections, Raw], Iterator[Problem]]


class IncompleteError(Exception):
    """A rule read a section that is not valid."""
