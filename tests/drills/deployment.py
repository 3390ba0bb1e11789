"""pyinfra runs as a person starts them, and what they answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.drills.record import PROJECT
from tests.lab import services
from tests.lab.instance import Lab
from tests.lab.inventory import write_inventory

LIMIT_SECONDS = 900  # of one deploy: several times what a bare host takes


@dataclass(frozen=True)
class Run:
    """One finished run of pyinfra; `seconds` of wall clock."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @cached_property
    def answer(self) -> dict[str, Any]:
        """The JSON on stdout. AssertionError when there is none: such a run has told nothing."""
        assert self.stdout.strip(), f"pyinfra printed no JSON and ended with {self.status}:\n{self.stderr[-3000:]}"
        return json.loads(self.stdout)

    def ok(self) -> Run:
        """Return this run; AssertionError with pyinfra's own words unless its exit status is 0."""
        assert self.status == 0, f"pyinfra ended with {self.status}:\n{self.stderr[-3000:]}"
        return self

    def planned(self, host: str) -> list[str]:
        """Return the names of the operations that a --dry run says will, or may, change this host."""
        assert self.answer["plan"], "the plan holds no operation at all: that is not clean, it is unknown"
        keys = ("hosts_with_change", "hosts_with_conditional_change")
        return [plan["name"] for plan in self.answer["plan"] if any(host in plan[key] for key in keys)]

    def changed(self, host: str) -> list[str]:
        """Return the names of the operations that changed this host."""
        assert self.count(host), f"no operation ran on {host}: that is not clean, it is unknown\n{self.stderr[-3000:]}"
        return [each["name"] for each in self._results() if host in each["success"]]

    def count(self, host: str) -> int:
        """Return the number of operations that ran on this host, whether they changed it or not."""
        return sum(host in each["success"] or host in each["no_change"] for each in self._results())

    def failing(self, host: str) -> list[str]:
        """Return the names of the operations that failed on this host."""
        return [each["name"] for each in self._results() if host in each["error"]]

    def failed(self) -> list[str]:
        """Return the hosts that failed."""
        return list(self.answer["results"]["failed_hosts"])

    def _results(self) -> list[dict[str, Any]]:
        return list(self.answer["results"]["operations"])


class Running:
    """A run of pyinfra on one of the project's deploy files that has been started."""

    def __init__(
        self, inventory: Path, arguments: Sequence[str], environment: Mapping[str, str], deploy: str = "deploy.py"
    ) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYINFRA_")}
        self._output = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115 (as long as the run)
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pyinfra", str(inventory), deploy, *arguments],
            cwd=PROJECT,
            env={**inherited, "PYINFRA_PROGRESS": "off", **services.environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output[0],
            stderr=self._output[1],
        )

    def ended(self) -> bool:
        """Return whether it has come to its end by itself."""
        return self._process.poll() is not None

    def memory_mib(self) -> int:
        """Return how much memory it has had at most, in MiB; 0 once it has ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)

    def stop(self) -> None:
        """Have the controller stand still, as one whose network is gone: its connections stay, and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> float:
        """End the controller with SIGKILL and return how many seconds it had run."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return time.monotonic() - self._started

    def wait(self, timeout: float = LIMIT_SECONDS) -> Run:
        """Wait for the end. Raises AssertionError, and ends the run, after `timeout` seconds."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"pyinfra took more than {timeout} s:\n{self._read(1)[-3000:]}") from None
        return Run(status, self._read(0), self._read(1), time.monotonic() - self._started)

    def _read(self, index: int) -> str:
        self._output[index].seek(0)
        return self._output[index].read()


@dataclass(frozen=True)
class Site:
    """Hosts with their settings, as an inventory would hold them; `environment` holds secrets by name."""

    hosts: tuple[str, ...]
    settings: Mapping[str, Any]
    of_host: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def inventory(self) -> Path:
        """Write the inventory and return its path."""
        name = f"site_{'_'.join(self.hosts).replace('-', '_')}.py"
        path = Lab.current().state / "inventories" / name
        return write_inventory(list(self.hosts), self.settings, self.of_host, path)

    def signalbox(
        self,
        command: str,
        *arguments: str,
        timeout: float = LIMIT_SECONDS,
        inventory: Path | None = None,
        **environment: str,
    ) -> Run:
        """Run one of our own commands on the inventory (or another one), as a scheduler would."""
        started = time.monotonic()
        program = [sys.executable, "-c", "from signalbox.commands.cli import main; main()"]
        done = subprocess.run(
            [*program, command, str(inventory or self.inventory()), *arguments],
            cwd=PROJECT,
            env={**os.environ, **services.environment(), **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def start(self, *arguments: str) -> Running:
        """Start a deploy that asks nothing."""
        path = self.inventory()
        return Running(path, ["--json", *(arguments or ("-y",))], self.environment)

    def deploy(self, *arguments: str) -> Run:
        """Deploy and return how it went."""
        return self.start("-y", *arguments).wait()

    def removing(self, *arguments: str) -> Running:
        """Start to take Signalbox away, unasked unless there are other arguments."""
        return Running(self.inventory(), ["--json", *(arguments or ("-y",))], self.environment, "remove.py")

    def remove(self, *arguments: str) -> Run:
        """Take Signalbox away and return how it went."""
        return self.removing(*arguments).wait()

    def plan(self, *arguments: str) -> Run:
        """Only tell what a deploy would do."""
        return self.start("--dry", *arguments).wait()
