"""How tests steer the simulators and read what was asked of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

STATE_FILE = "simulators.json"  # in the state directory: where everything listens, and the process
REQUEST_LOG = "simulators.requests.jsonl"
TIMEOUT = 10  # seconds; the control channel answers at once or something is wrong


class ControlError(RuntimeError):
    """The simulators refused an instruction, or are not there."""


class Client:
    """The control channel of running simulators.

    control: its URL, such as "http://198.18.0.1:1233"; or `Client.of(state)` for the ones that were started there.
    """

    def __init__(self, control: str) -> None:
        self.control = control.rstrip("/")

    @classmethod
    def of(cls, state: Path) -> Client:
        """The client of the simulators with this state directory. Raises ControlError when none were started."""
        try:
            return cls(json.loads((state / STATE_FILE).read_text())["control"])
        except FileNotFoundError:
            raise ControlError(f"no simulators were started with the state directory {state}") from None

    def fault(self, server: str, kind: str, **more: Any) -> dict[str, Any]:
        """Make a server fail; kind and the other members are those of `faults.Fault`. Returns the fault."""
        return self._ask("POST", "/__lab/fault", json={"server": server, "kind": kind, **more})

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are still open, oldest first."""
        return self._ask("GET", "/__lab/fault")

    def heal(self, server: str | None = None) -> None:
        """End the faults of one server, or of all."""
        self._ask("DELETE", "/__lab/fault", params={"server": server} if server else None)

    def requests(self, server: str | None = None) -> list[dict[str, Any]]:
        """The requests since the last `clear`, oldest first; the members are those of `journal.Journal.begin`."""
        return self._ask("GET", "/__lab/requests", params={"server": server} if server else None)

    def options(self, server: str, **options: Any) -> dict[str, Any]:
        """Change a server's options (none: only read them). Returns all of them."""
        return self._ask("POST", "/__lab/options", json={"server": server, **options})

    def servers(self) -> dict[str, dict[str, Any]]:
        """Every server: bind, port, listening, options."""
        return self._ask("GET", "/__lab")

    def clear(self) -> None:
        """Start afresh: no faults, no requests, every option as at the start."""
        self._ask("DELETE", "/__lab")

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = requests.request(method, self.control + path, timeout=TIMEOUT, **more)
        except requests.ConnectionError as error:
            raise ControlError(f"nothing answers at {self.control}; are the simulators up? ({error})") from None
        if not answer.ok:
            raise ControlError(answer.text)
        return answer.json()
