"""Usage of a fleet: what `claude-usage --json` tells on each host, asked side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from pyinfra import host as current
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from signalbox.engine.driver import drive
from signalbox.host.shared.output import shown
from signalbox.shell import Script, sh
from signalbox.shell.answer import heard, said
from signalbox.shell.run_as import run_as
from signalbox.untrusted import json_of

_KEPT = "signalbox_usage"
_ANSWER_BYTES = 4 * 1024 * 1024
_SECONDS = 100  # all of a long audit is added up


@dataclass(frozen=True)
class HostUsage:
    """What one host tells: rows as `launcher.usage.added_up` makes them, or the problem why it tells none."""

    host: str
    rows: list[dict[str, Any]]
    problem: str = ""


_Count = Annotated[int, Field(ge=0, le=10**15)]
_Dollars = Annotated[float, Field(ge=0, le=1e12)]
_Name = Annotated[str, Field(max_length=200), AfterValidator(lambda name: shown(name))]


class _Row(BaseModel):
    """What `launcher.usage.added_up` makes."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)

    day: _Name
    lane: _Name | None
    backend: _Name | None
    rule: _Name | None = None  # a host of an earlier version tells none
    requests: _Count
    failed_over: _Count
    failed: _Count
    estimated: _Count
    unpriced: _Count
    input_tokens: _Count
    cached_tokens: _Count
    output_tokens: _Count
    cost_usd: _Dollars
    compared_usd: _Dollars


_ROWS = TypeAdapter(Annotated[list[_Row], Field(max_length=100_000)])


class Usage(FactBase[list[dict[str, Any]]]):
    """The rows of claude-usage, as the service user sees them: that user's claim."""

    always_answers = True

    def command(self, user: str, home: str, days: int) -> Script:
        """Return the command; `days` as claude-usage takes it, 0 for all."""
        ask = run_as(user, home, sh("/usr/local/bin/claude-usage --json {}", ["--days", str(days)] if days else []))
        return heard(ask, seconds=_SECONDS, max_bytes=_ANSWER_BYTES)

    default = list

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        """Read the JSON. Raises FactProcessError."""
        text = said(output, max_bytes=_ANSWER_BYTES)
        try:
            rows = _ROWS.validate_python(json_of(text, max_bytes=_ANSWER_BYTES))
        except ValueError:
            raise FactProcessError("claude-usage did not answer with what it prints") from None
        return [row.model_dump() for row in rows]


_days: list[int] = [0]


def ask_host(user: str, home: str, privileges: dict[str, Any]) -> None:
    """Keep what the current host tells."""
    current.connector_data[_KEPT] = current.get_fact(Usage, user=user, home=home, days=_days[0], **privileges)


def usage(deploy: str, inventory: str, selectors: list[str], days: int = 0) -> list[HostUsage]:
    """Ask the hosts of an inventory; every selected host has an answer. Raises RuntimeError for one that is unusable.

    + deploy: the file that calls `ask_host`. selectors: of pyinfra, as --limit box1. days: the last so many; 0: all.
    """
    _days[0] = days
    outcome = drive(inventory, deploy, ["--dry", *selectors])
    if outcome.state is None or outcome.error:
        raise RuntimeError(outcome.error or "the run ended before it looked at any host")
    found = []
    for host in outcome.state.inventory:
        if not outcome.state.is_host_in_limit(host):
            continue
        rows = host.connector_data.get(_KEPT)
        words = "; ".join(outcome.errors.get(host.name, ())) or "it was not reached"
        found.append(HostUsage(host.name, rows) if isinstance(rows, list) else HostUsage(host.name, [], words))
    return found
