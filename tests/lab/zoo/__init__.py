"""Hosts as people have them, by name: `python -m tests.lab up --as noisy-shell,chrony h1`.

A module for each kind; a new state is one record in one of them, with the public report that has it. The drill
`found` deploys to each on a host of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.lab.machine import LabError
from tests.lab.zoo import kernel, networks, packages, shells, ssh, time, users
from tests.lab.zoo.state import LIGHT, State

__all__ = ["LIGHT", "STATES", "State", "chosen"]

STATES: dict[str, State] = {
    state.name: state for module in (shells, ssh, users, networks, packages, time, kernel) for state in module.STATES
}


def chosen(names: Iterable[str]) -> list[State]:
    """Return the states with these names; LabError when there is none of a name."""
    found = []
    for name in names:
        if name not in STATES:
            raise LabError(f"there is no state {name!r} in the zoo; there are {', '.join(STATES)}")
        found.append(STATES[name])
    return found
