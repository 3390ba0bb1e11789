"""A bad setting ends the whole run with exit status 1 before a command is executed on any host."""

from __future__ import annotations

import os
import pprint
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra import host
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.deploy import add_deploy, deploy
from pyinfra.context import ctx_config, ctx_inventory, ctx_state
from pyinfra.facts.server import Hostname
from pyinfra.operations import server

from signalbox.settings import SettingsError, settings_for
from signalbox.settings.layers import DEFAULTS, merge
from tests.good_settings import GOOD

PROJECT = DEFAULTS.parents[1]
BAD: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "bad_settings.yaml").read_text(encoding="utf-8"))
FAST = {"fake_delay": 0, "fake_delay_jitter": 0}
# The good host comes first: it would be touched if hosts were validated one by one.
HOSTS = ("@fake/good", "@fake/bad")


@deploy("Settings")
def read_settings() -> None:
    settings_for(host)
    host.get_fact(Hostname)
    server.shell(name="Do something", commands=["true"])


def run(bad: dict[str, Any]) -> list[str]:
    """Plan both hosts through pyinfra's API; returns the commands that were executed on them."""
    data = {"@fake/good": merge(GOOD, FAST), "@fake/bad": merge(merge(GOOD, FAST), bad)}
    inventory = Inventory(([(name, data[name]) for name in HOSTS], {}))
    state = State(inventory, Config())
    with ctx_state.use(state), ctx_config.use(state.config), ctx_inventory.use(inventory):
        connect_all(state)
        try:
            add_deploy(state, read_settings)
        except SettingsError as error:
            error.commands = _commands(inventory)  # type: ignore[attr-defined]
            raise
        return _commands(inventory)


def _commands(inventory: Inventory) -> list[str]:
    return [command for each in inventory for command in each.connector.executed_commands]


def test_good_settings_are_carried_out() -> None:
    assert run({})  # so the lists that are empty below could have been otherwise


@pytest.mark.parametrize("bad", BAD, ids=[f"{bad['rule']}-{index}" for index, bad in enumerate(BAD)])
def test_refused_before_anything_is_executed(bad: dict[str, Any]) -> None:
    data = bad["value"]
    for part in reversed(bad["at"].split("/") if "at" in bad else []):
        data = {part: data}
    with pytest.raises(SettingsError) as caught:
        run(data)
    assert caught.value.lines == [f"@fake/bad: {line}" for line in bad["says"]]
    assert caught.value.commands == []  # type: ignore[attr-defined]


def test_table_is_wide() -> None:
    rules = Counter(bad["rule"] for bad in BAD)
    assert len(BAD) >= 60
    assert max(rules.values()) <= 3


# ---- the same by pyinfra's command line ----


def pyinfra(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", str(inventory), *arguments],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYINFRA_PROGRESS": "off",
            "PYINFRA_FAKE_DELAY": "0",
            "PYINFRA_FAKE_DELAY_JITTER": "0",
            "ANTHROPIC_DIRECT_KEY": "x",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_inventory(directory: Path, bad: dict[str, Any]) -> Path:
    path = directory / "hosts.py"
    hosts = [("@fake/good", GOOD), ("@fake/bad", merge(GOOD, bad))]
    path.write_text(f"boxes = {pprint.pformat(hosts)}\n")
    return path


def test_all_problems_of_all_hosts_at_once(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, {"gateway": {"prot": 4001}, "base": {"timezone": "Europe/Berln"}})
    done = pyinfra(inventory, "deploy.py", "-y", "--data", "gateway.port=80")
    assert done.returncode == 1, done.stderr
    expected = """\
3 settings are wrong; nothing was done on any host
  @fake/good, @fake/bad: gateway.port: 80 is not a port that a user without root may open; \
write one from 1024 to 65535 (from --data)
  @fake/bad: base.timezone: "Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?
  @fake/bad: gateway.prot: unknown setting; did you mean "port"?
"""
    assert expected in done.stderr
    assert "Connected" not in done.stderr  # nor was any host even connected to


def test_hosts_outside_the_limit_are_not_asked(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, {"gateway": {"prot": 4001}})
    done = pyinfra(inventory, "deploy.py", "-y", "--limit", "@fake/bad")
    assert done.returncode == 1
    assert "gateway.prot: unknown setting" in done.stderr
    done = pyinfra(inventory, "deploy.py", "-y", "--limit", "@fake/good")
    assert "unknown setting" not in done.stderr
    assert "[@fake/good]" in done.stderr


def test_untouched_clone_says_what_to_fill_in() -> None:
    done = pyinfra(PROJECT / "inventory.py", "deploy.py", "-y")
    assert done.returncode == 1
    assert "write the address of your Debian 13 host" in done.stderr
    assert "write the address of the machine that runs LM Studio" in done.stderr
    assert "the model's id from LM Studio's /v1/models" in done.stderr
    assert "`make demo` needs nothing but this machine" in done.stderr
