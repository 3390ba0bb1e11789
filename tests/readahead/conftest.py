"""Lab hosts for the tests that need them."""

from tests.lab.conftest import lab

__all__ = ["lab"]
