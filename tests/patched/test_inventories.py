"""Inventories as pyinfra reads them: those of the recipes in docs/fleet.md."""

from __future__ import annotations

import pyinfra_cli  # isort: skip  # noqa: F401 (it patches the standard library, so it comes first)

import json
import shutil
from pathlib import Path

from signalbox.desired import gateway_config
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets
from signalbox.settings import Settings
from signalbox.settings.layers import defaults, layers_of
from signalbox.settings.run import read_inventory
from tests.examples import FILLED
from tests.good_settings import GOOD
from tests.plan.simulated import PROJECT


def test_pull_s_inventory_is_this_host_with_its_own_secrets_file() -> None:
    inventory = read_inventory(PROJECT / "examples" / "pull" / "inventory.py")
    (host,) = inventory.hosts
    own = {name: value for group in layers_of(inventory, host) for name, value in group[1].items()}
    (key,) = own["secrets"]["keys"].items()
    assert host == "@local"
    assert key[0] in [name.removeprefix("group ") for name, _ in layers_of(inventory, host)]
    assert key[1] == "file:/etc/signalbox-pull/vault.key"


def test_an_inventory_that_a_script_makes(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "examples" / "fleet" / "from_script.py", tmp_path / "inventory.py")
    hosts = {"a1": {"address": "192.0.2.1", "group": "lab"},
             "b1": {"address": "192.0.2.2", "group": "shop", "settings": {"gateway": {"port": 4001}}}}  # fmt: skip
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    inventory = read_inventory(tmp_path / "inventory.py")
    assert set(inventory.hosts) == {"a1", "b1"}
    assert inventory.get_host("b1").data.ssh_hostname == "192.0.2.2"
    assert "group shop" in [name for name, _ in layers_of(inventory, "b1")]
    assert dict(layers_of(inventory, "b1"))["host"]["gateway"] == {"port": 4001}


def test_groups_with_different_clouds(tmp_path: Path) -> None:
    text = (PROJECT / "examples" / "fleet" / "clouds.py").read_text()
    for placeholder, value in FILLED.items():
        text = text.replace(placeholder, value)
    (tmp_path / "inventory.py").write_text(text)
    inventory = read_inventory(tmp_path / "inventory.py")
    filled = [
        ("group_data/all.py", defaults()),
        ("all", {name: GOOD[name] for name in ("pins", "service_user", "backends")}),
    ]
    asked = {}
    for host in ("box1", "box3"):
        settings = Settings.from_layers([*filled, *layers_of(inventory, host)[1:]], host=host)
        models = {
            each["model_name"]: each["litellm_params"]["model"]
            for each in gateway_config.litellm_config(settings, routing_table(settings))["model_list"]
        }
        asked[host] = (models["claude-sonnet-4-6"], gateway_secrets(settings, routing_table(settings)))
    assert asked["box1"] == ("anthropic/claude-sonnet-4-6", ["ANTHROPIC_DIRECT_KEY"])
    assert asked["box3"] == ("azure_ai/claude-sonnet-4-6", ["FOUNDRY_API_KEY"])
