"""One command line a contender."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from bench.measure import PROJECT, Racer
from bench.site import Way

ANSIBLE = PROJECT / "bench" / "ansible"
START, SSH, SCRIPT = "start-up alone (pyinfra --version)", "ssh HOST true", "its fact commands as one ssh script"
STOCK, WITHOUT, AHEAD = "stock pyinfra", "Signalbox, not reading ahead", "Signalbox"
PIPELINED, MITOGEN = "Ansible, pipelining", "Ansible, Mitogen"
PYINFRA = (sys.executable, "-m", "pyinfra")


def start() -> Racer:
    """What every run of pyinfra pays first."""
    return Racer(START, [*PYINFRA, "--version"])


def ssh(way: Way, host: str) -> Racer:
    """The least that reaching a host costs."""
    return Racer(SSH, [*way.ssh[host], "true"])


def script(way: Way, host: str, text: str) -> Racer:
    """The work on the host without any tool."""
    return Racer(SCRIPT, [*way.ssh[host], "sh -s"], stdin=text)


def pyinfra(
    way: Way | Path,
    secrets: Mapping[str, str],
    *names: str,
    how: str = "-y",
    before: Callable[[], object] | None = None,
) -> list[Racer]:
    """Runs of the deploy, by name: STOCK, WITHOUT, AHEAD."""
    inventory = str(way.pyinfra if isinstance(way, Way) else way)
    run = [inventory, "deploy.py", how, "--json"]
    stock = [sys.executable, "-m", "bench.stock", *run]
    every = {
        STOCK: Racer(STOCK, stock, secrets, before=before),
        WITHOUT: Racer(WITHOUT, [*PYINFRA, *run], {**secrets, "SIGNALBOX_READ_AHEAD": "0"}, before=before),
        AHEAD: Racer(AHEAD, [*PYINFRA, *run], secrets, before=before),
    }
    return [every[name] for name in names]


def ansible(way: Way, before: Callable[[], object] | None = None) -> list[Racer]:
    """The playbook with pipelining, and with Mitogen where that is installed."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(way.ansible)]
    environment = {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
    racers = [Racer(PIPELINED, [*command, str(ANSIBLE / "playbook.yml")], environment, before=before, slow=True)]
    if (spec := find_spec("ansible_mitogen")) and spec.submodule_search_locations:
        plugins = str(Path(spec.submodule_search_locations[0]) / "plugins" / "strategy")
        mitogen = {**environment, "ANSIBLE_STRATEGY_PLUGINS": plugins, "ANSIBLE_STRATEGY": "mitogen_linear"}
        racers.append(Racer(MITOGEN, [*command, str(ANSIBLE / "playbook.yml")], mitogen, before=before, slow=True))
    return racers
