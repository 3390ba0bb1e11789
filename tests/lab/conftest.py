"""The fixture that lends lab hosts to tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import hosts
from tests.lab.instance import Lab


class Hosts:
    """Brings hosts of the current lab up by need, and remembers which."""

    def __init__(self) -> None:
        self.brought: list[str] = []

    def up(self, *names: str, with_services: bool = True, bare_ca: bool = False) -> None:
        """Bring these hosts up, if they are not."""
        self.brought += [name for name in names if not hosts.exists(name)]
        hosts.up(names, with_services=with_services, bare_ca=bare_ca)


@pytest.fixture(scope="session")
def lab() -> Iterator[Hosts]:
    """Lab hosts: `lab.up("box1")`, then tests.lab.hosts; only what a test brought up is taken down at the end."""
    was_there = Lab.current().state.exists()
    lent = Hosts()
    yield lent
    if was_there:
        hosts.down(lent.brought)
    else:
        hosts.down()
