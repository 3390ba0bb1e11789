"""Wrong usage that ends with 1, for commands whose 2 is drift. It needs click alone: pyinfra must be imported first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class DriftCommand(click.Command):
    """A command whose exit status 2 says drift, and nothing else does: wrong usage is a failure."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse what the command was called with."""
        with usage_fails():
            return super().make_context(*args, **more)


@contextmanager
def usage_fails() -> Iterator[None]:
    """Have wrong usage end with 1, which is a failure."""
    try:
        yield
    except click.UsageError as error:
        error.exit_code = 1  # type: ignore[misc]  # of this one error
        raise
