"""A deploy to one simulated host, as pyinfra's command line carries it out, and all that can be seen of it."""

from __future__ import annotations

import json
import os
import pprint
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from signalbox.settings.layers import merge
from tests.good_settings import GOOD

PROJECT = Path(__file__).resolve().parents[2]
HOST = "@fake/box"
# Secrets by name, with values that are found again wherever they leak to.
SECRETS = {
    "ANTHROPIC_DIRECT_KEY": "sk-ant-found-if-leaked",
    "FOUNDRY_API_KEY": "foundry-found-if-leaked",
    "CLAUDE_PASSWORD": "password-found-if-leaked",
    "ADMIN_PASSWORD": "sudo-found-if-leaked",
}


@dataclass(frozen=True)
class Deploy:
    """What was seen of one. names: of the operations, in order. sent: commands and what went over stdin.

    wanted: what operations stated to want, as (kind, id) of the manifest.
    """

    operations: list[dict[str, Any]]
    sent: list[dict[str, str]]
    wanted: list[list[str]]
    stdout: str
    stderr: str

    @property
    def names(self) -> list[str]:
        """The operations' names in order, each with the task's before it: `Base | …`."""
        return [" / ".join(operation["names"]) for operation in self.operations]

    def of(self, task: str) -> list[str]:
        """The names of one task's operations."""
        return [name for name in self.names if name.startswith(f"{task} |")]


def deploy(
    data: Mapping[str, Any] | None = None,
    *arguments: str,
    others: int = 0,
    file: str = "deploy.py",
    secrets: Mapping[str, str] = SECRETS,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Deploy:
    """Carry out a deploy file on a simulated host with the good settings and `data` over them, and tell what was seen.

    `arguments` of pyinfra, by default -y; `others`: so many hosts more, of which nothing is told; `secrets`: by name,
    in the environment, with what `environment` has. Raises CalledProcessError with pyinfra's output when it fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        inventory, told = Path(directory) / "hosts.py", Path(directory) / "told.json"
        host = merge({**GOOD, "fake_delay": 0, "fake_delay_jitter": 0}, data or {})
        hosts = [(HOST, host), *((f"{HOST}-{number}", host) for number in range(others))]
        inventory.write_text(f"boxes = {pprint.pformat(hosts)}\n")
        program = str(Path(__file__).with_name("carry_out.py"))
        done = subprocess.run(
            [sys.executable, program, str(told), str(inventory), file, "--json", *(arguments or ("-y",))],
            cwd=PROJECT,
            env={**os.environ, **secrets, "PYINFRA_PROGRESS": "off", "PYTHONPATH": str(PROJECT), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
            error.add_note(done.stderr[-3000:])
            raise error
        seen = json.loads(told.read_text())[HOST]
    return Deploy(seen["operations"], seen["sent"], seen["wanted"], done.stdout, done.stderr)
