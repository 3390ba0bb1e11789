"""What a rollout knows of each host, kept on disk so that it can be resumed after anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from signalbox.untrusted import json_of

SCHEMA = 1
_BYTES = 16 * 1024 * 1024

# In the order in which a host goes through them.
WAITING, DEPLOYING, VERIFYING, DONE = "waiting", "deploying", "verifying", "done"
FAILED, PUT_BACK = "failed", "put back"


@dataclass
class HostProgress:
    """One host. state: a word above. detail: why it failed, or what it was put back to. commit: what it has now.

    basis: the code and settings with which it was done (good.basis), "" before.
    """

    wave: int
    state: str = WAITING
    detail: str = ""
    commit: str = ""
    basis: str = ""


_HOSTS = TypeAdapter(dict[str, HostProgress])


@dataclass
class Progress:
    """A whole rollout; `told` hears of every change."""

    path: Path
    subject: dict[str, Any]  # what is rolled out: a rollout is resumed only with the same
    hosts: dict[str, HostProgress] = field(default_factory=dict)
    told: Callable[[str, HostProgress], None] | None = None

    def set(self, host: str, state: str, detail: str = "", commit: str | None = None, basis: str = "") -> None:
        """Note the host's new state, on disk before anything else."""
        progress = self.hosts[host]
        progress.state, progress.detail = state, detail
        if commit is not None:
            progress.commit = commit
        progress.basis = basis
        self.save()
        if self.told:
            self.told(host, progress)

    def again(self, basis: Callable[[str], str]) -> list[str]:
        """Have those hosts wait that were done with other code or settings than those of now, and return them."""
        stale = [name for name, each in self.hosts.items() if each.state == DONE and each.basis != basis(name)]
        for name in stale:
            self.set(name, WAITING, "was done with other code or settings")
        return stale

    def waves(self) -> list[list[str]]:
        """Return the hosts of each wave that are not done, wave after wave; the first are the canaries."""
        numbers = sorted({progress.wave for progress in self.hosts.values()})
        left = [[host for host, each in self.hosts.items() if each.wave == n and each.state != DONE] for n in numbers]
        return [wave for wave in left if wave]

    def failures(self) -> list[str]:
        """Return the hosts that are not as they should be."""
        return [host for host, progress in self.hosts.items() if progress.state in (FAILED, PUT_BACK)]

    def save(self) -> None:
        """Write it whole or not at all, readable by its owner alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hosts = {host: asdict(progress) for host, progress in self.hosts.items()}
        new = self.path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({"schema": SCHEMA, "subject": self.subject, "hosts": hosts}, indent=2) + "\n")
        new.replace(self.path)

    @classmethod
    def load(cls, path: Path) -> Progress | None:
        """Read what an earlier rollout has left, None where there is nothing of this version."""
        try:
            values = json_of(path.read_bytes(), max_bytes=_BYTES)
            if values["schema"] != SCHEMA:
                return None
            hosts = _HOSTS.validate_python(values["hosts"])
            return cls(path, dict(values["subject"]), hosts)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def divided(hosts: list[str], canaries: list[str], size: str) -> dict[str, HostProgress]:
    """Divide hosts into waves: the canaries, then waves of `size`, a number ("5") or a part of all ("25%").

    Raises:
        ValueError: the size is neither.
    """
    rest = [host for host in hosts if host not in canaries]
    number = size.removesuffix("%")
    if not number.isdigit() or int(number) < 1 or (number != size and int(number) > 100):
        raise ValueError(f'{size!r} is no size of a wave; write a number such as 5, or a part such as "25%"')
    each = int(number) if number == size else max(1, len(hosts) * int(number) // 100)
    progress = {host: HostProgress(0) for host in hosts if host in canaries}
    return {**progress, **{host: HostProgress(1 + place // each) for place, host in enumerate(rest)}}
