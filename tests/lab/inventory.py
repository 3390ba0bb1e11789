"""Writes pyinfra inventories of lab hosts: one group `lab`, literal data."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import write


def write_inventory(
    names: Sequence[str] | None = None,
    extra_group_data: Mapping[str, Any] | None = None,
    extra_host_data: Mapping[str, Mapping[str, Any]] | None = None,
    path: Path | None = None,
) -> Path:
    """Write an inventory of these hosts (default: those that are up) and return its path.

    `extra_group_data` are sections as in group_data/all.py for all of them, `extra_host_data` for one host by its
    name (sections merge deeply in both cases). `path` defaults to the lab's own file.
    """
    lab = Lab.current()
    extra = extra_host_data or {}
    entries = [(name, {**_connection(lab, name), **extra.get(name, {})}) for name in (names or hosts.running())]
    target = path or lab.state / "inventory.py"
    data = dict(extra_group_data or {})
    write(
        target,
        f'"""Lab {lab.name}; generated, so edits are lost."""\n\n'
        f"lab = (\n{pprint.pformat(entries, width=110, sort_dicts=False)},\n"
        f"{pprint.pformat(data, width=110, sort_dicts=False)},\n)\n",
        0o600,
    )
    return target


def _connection(lab: Lab, name: str) -> dict[str, Any]:
    return {
        "ssh_hostname": hosts.address(name),
        "ssh_port": 22,
        "ssh_user": "root",
        "ssh_key": str(lab.key),
        "ssh_known_hosts_file": access.known_hosts(lab),
    }
