"""On a real host, the whole deploy tells and does the same with and without reading ahead; sudo's password included."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import hosts, services
from tests.lab.conftest import Hosts
from tests.lab.inventory import write_inventory

HOST = "a-1"
PROJECT = Path(__file__).parents[2]


@dataclass
class Site:
    """The project's deploy on one host, and the state directory of its records."""

    inventory: Path
    state: Path

    def run(self, how: str, ahead: bool = True) -> Any:
        """Run pyinfra, which must end well, and return its JSON."""
        environment = {**os.environ, **services.environment(), "XDG_STATE_HOME": str(self.state)}
        environment["SIGNALBOX_READ_AHEAD"] = "1" if ahead else "0"
        done = subprocess.run(
            [sys.executable, "-m", "pyinfra", self.inventory, "deploy.py", how, "--json"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)


def changes(told: Any) -> list[str]:
    return [each["name"] for each in told["plan"] if each["hosts_with_change"]]


@pytest.fixture(scope="module")
def site(lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A converged host, and what its convergence has learnt."""
    lab.up(HOST)
    path = tmp_path_factory.mktemp("readahead")
    site = Site(write_inventory([HOST], services.lab_settings(), path=path / "inventory.py"), path / "state")
    site.state.mkdir(mode=0o700)
    site.run("-y")
    return site


TAMPERS = {
    "nothing": "true",
    "a file that is gone": "rm /etc/signalbox/lanes.json",
    "a file with another content": "echo '# mine' >> /home/litellm/.config/systemd/user/litellm.service",
    "a file with another mode": "chmod 600 /usr/local/lib/signalbox/launch",
    "a service that is down": "systemctl --user --machine=litellm@.host stop litellm",
    "a package that is gone": "dpkg --force-all --remove jq",
    "a manifest entry that is gone": "rm $(ls /var/lib/signalbox/manifest/link-* | head -n1)",
    "linger that is off": "loginctl disable-linger claude",
}


@pytest.mark.parametrize("name", TAMPERS)
def test_a_plan_is_the_same_and_what_drifted_is_healed(site: Site, name: str) -> None:
    site.run("--dry")
    hosts.run(HOST, TAMPERS[name])
    without, ahead = site.run("--dry", ahead=False), site.run("--dry")
    assert ahead == without
    assert bool(changes(ahead)) == (name != "nothing")
    site.run("-y")
    assert changes(site.run("--dry")) == changes(site.run("--dry", ahead=False)) == []


@pytest.fixture
def as_operator(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Site]:
    """The same host, reached as a user whose sudo asks for a password."""
    password = secrets.token_hex(12)
    monkeypatch.setenv("OPERATOR_PASSWORD", password)
    hosts.add_admin(HOST, "ops", password)
    extra = {HOST: {"ssh_user": "ops", "connection": {"sudo": True, "sudo_password": "OPERATOR_PASSWORD"}}}
    inventory = write_inventory([HOST], services.lab_settings(), extra, tmp_path / "inventory.py")
    return lambda: Site(inventory, site.state)


def test_with_sudos_password_it_is_the_same_and_no_password_is_kept(as_operator: Callable[[], Site]) -> None:
    site = as_operator()
    first = site.run("--dry", ahead=False)
    assert site.run("--dry") == first  # the record is of root: nothing of it fits
    assert site.run("--dry") == first  # of sudo
    record = "".join(path.read_text() for path in site.state.rglob("*.json"))
    assert '"sudo": true' in record
    assert os.environ["OPERATOR_PASSWORD"] not in record
    assert "askpass" not in record
    hosts.run(HOST, "rm /etc/signalbox/lanes.json")
    assert changes(site.run("--dry")) == changes(site.run("--dry", ahead=False)) != []
    site.run("-y")
    assert changes(site.run("--dry")) == []
    assert hosts.run(HOST, "ls /dev/shm /run/user/*/ | grep -c askpass || true").stdout.strip() == "0"
