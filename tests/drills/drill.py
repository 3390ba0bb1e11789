"""What a drill is: named cells that prove one line, their figures, and the control each owes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.drills.stage import Stage

Figures = Mapping[str, object]
Body = Callable[["Stage"], Figures]

# In the order of a full run: drills that can use a host that an earlier one has converged come after it.
NAMES = (
    "settings", "connection", "claude", "keyless", "credentials", "leaks", "lanes", "poisoned", "switching", "inside",
    "skills", "sessions", "terminal", "backends", "real_model", "certify", "converged", "break_and_tell", "failover",
    "flood", "servers", "spending", "reached", "swap", "private", "usage", "readahead", "interrupted", "hostile",
    "unsaid",
    "lockout", "hardening", "measured", "reboot", "fleet", "pull", "plan", "locks", "drift", "remove", "lived_in",
    "rollout", "upgrade", "init", "adopt", "project", "watched", "demo",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One independent proof; `body` returns the figures it saw and raises AssertionError when it is none."""

    drill: str
    name: str
    title: str
    body: Body
    fixed: bool


@dataclass
class Drill:
    """A drill by its name.

    title: what it is about, in a few words. shows: the line it proves. A cell's title is its first docstring line.
    rows: writes the page of single rows that some drills have beside their table.
    """

    name: str
    title: str
    shows: str
    cells: dict[str, Cell] = field(default_factory=dict)
    rows: Callable[[], None] | None = None

    def cell(self, name: str, *, fixed: bool = False) -> Callable[[Body], Body]:
        """Register the decorated function as a cell; the `fixed` one runs in `make test`."""

        def register(body: Body) -> Body:
            if name in self.cells or (fixed and self.has_fixed()):
                raise ValueError(f"drill {self.name}: a second cell {name!r}, or a second fixed one")
            title = (body.__doc__ or "").strip().splitlines()[0].rstrip(".")
            self.cells[name] = Cell(self.name, name, title, body, fixed)
            return body

        return register

    def has_fixed(self) -> bool:
        """Return whether one of the cells is the fixed one."""
        return any(cell.fixed for cell in self.cells.values())

    @property
    def fixed(self) -> Cell:
        """The one cell that runs in `make test`."""
        (cell,) = (cell for cell in self.cells.values() if cell.fixed)
        return cell


def load(name: str) -> Drill:
    """Return the drill with this name; KeyError when there is none."""
    if name not in NAMES:
        raise KeyError(name)
    drill = import_module(f"tests.drills.{name}").drill
    assert isinstance(drill, Drill)
    return drill


def every() -> Iterator[Drill]:
    """Yield all drills in order."""
    for name in NAMES:
        yield load(name)


def must_fail(check: Callable[[], object], broken: str) -> str:
    """The control: with the thing broken, `check` must fail. Returns a figure that says so.

    Raises AssertionError when the check passes all the same: it would have proved nothing.
    """
    try:
        check()
    except AssertionError:
        return f"fails with {broken}"
    raise AssertionError(f"control: the check passed with {broken}")
