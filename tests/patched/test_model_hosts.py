"""What the group `model_hosts` of an inventory means for the settings of all hosts in it."""

from __future__ import annotations

from typing import Any

from pyinfra.api.inventory import Inventory

from signalbox.settings import Settings
from signalbox.settings.layers import layers_of
from tests.good_settings import GOOD

MODEL = {"source": f"hf:unsloth/X-GGUF@{'a' * 40}/q/X-Q4_K_M.gguf", "sha256": "b" * 64}
PINNED = {**GOOD, "model_server": {"llama_cpp": {"sha256": {"cpu_amd64": "d" * 64}}}}
SERVER = {"models": {"local": MODEL}}


def inventory(
    servers: list[Any], agents: list[Any], common: dict[str, Any] | None = None, **groups: dict[str, Any]
) -> Inventory:
    names = [*servers, *agents]
    of = {"model_hosts": (servers, groups.get("model_hosts", {})), "claude_hosts": (agents, {})}
    data = {key: value for key, value in PINNED.items() if key != "backends"} | (common or {})
    return Inventory((names, data), **of)  # type: ignore[no-untyped-call]


def settings(of: Inventory, host: str) -> Settings:
    return Settings.from_layers(layers_of(of, host), host=host)


def test_a_model_host_is_a_backend_of_the_others_and_nothing_is_said_twice() -> None:
    there = {"api_key": "LLAMA_KEY", "port": 8090, "models": {"local": {**MODEL, "context_length": 98304}}}
    agent = settings(inventory([("192.168.1.21", {"model_server": there})], ["192.168.1.10"]), "192.168.1.10")
    record = agent.backends["192-168-1-21"]
    assert (record.kind, record.url, record.token) == ("llama_cpp", "http://192.168.1.21:8090", "LLAMA_KEY")
    assert record.models["local"].context_length == 98304
    assert record.models["local"].max_output_tokens == 8192
    assert not agent.backends["lmstudio"].enabled
    assert not agent.model_server.enabled


def test_a_backend_by_hand_goes_on_as_before() -> None:
    by_hand = {"lmstudio": {"url": "http://192.168.1.30:1234", "models": {"local": {"id": "x"}}}}
    both = inventory([("gpu.lan", {"model_server": SERVER})], ["192.168.1.10"], {"backends": by_hand})
    agent = settings(both, "192.168.1.10")
    assert [name for name, record in agent.backends.items() if record.enabled] == ["lmstudio", "gpu-lan"]
    changed = inventory(
        [("gpu.lan", {"model_server": SERVER})],
        [("192.168.1.10", {"backends": {"gpu-lan": {"models": {"local": {"context_length": 40960}}}}})],
    )
    assert settings(changed, "192.168.1.10").backends["gpu-lan"].models["local"].context_length == 40960


def test_a_model_host_has_its_own_sections_and_no_agents() -> None:
    server = settings(
        inventory([("192.168.1.21", {"model_server": SERVER})], ["192.168.1.10", "192.168.1.11"]), "192.168.1.21"
    )
    assert server.model_server.enabled
    for section in ("service_user", "rootless_docker", "by_hand", "toolchain", "secrets", "gateway", "launchers"):
        assert not getattr(server, section).enabled, section
    for section in ("base", "guard", "firewall", "ssh", "fail2ban", "hardening", "doctor"):
        assert getattr(server, section).enabled, section
    assert server.firewall.open == {"tcp/8080": ["192.168.1.10/32", "192.168.1.11/32"]}
    assert not [each for each in (*server.backends.values(), *server.lanes.values()) if each.enabled]


def test_who_may_reach_it_is_said_where_agents_have_names() -> None:
    named = inventory([("192.168.1.21", {"model_server": SERVER})], ["box.lan"])
    assert settings(named, "192.168.1.21").firewall.open == {"tcp/8080": ["lan"]}
    said = inventory([("192.168.1.21", {"model_server": {**SERVER, "clients": ["10.0.0.0/8"]}})], ["box.lan"])
    assert settings(said, "192.168.1.21").firewall.open == {"tcp/8080": ["10.0.0.0/8"]}


def test_a_host_can_be_both() -> None:
    of = inventory([("192.168.1.21", {"model_server": {**SERVER, "alone": False}})], [])
    both = settings(of, "192.168.1.21")
    assert both.model_server.enabled
    assert both.gateway.enabled
    assert both.backends["192-168-1-21"].url == "http://192.168.1.21:8080"


def test_an_inventory_without_the_group_is_as_it_was() -> None:
    of = Inventory((["192.168.1.10"], PINNED), boxes=(["192.168.1.10"], {}))  # type: ignore[no-untyped-call]
    assert [label for label, _ in layers_of(of, "192.168.1.10")] == [
        "group_data/all.py", "all", "group boxes", "host", "--data",
    ]  # fmt: skip


def test_what_pyinfra_connects_to_is_where_agents_find_it() -> None:
    there = ("gpu", {"ssh_hostname": "10.1.1.5", "model_server": SERVER})
    assert settings(inventory([there], ["a"]), "a").backends["gpu"].url == "http://10.1.1.5:8080"
    named = ("gpu", {"ssh_hostname": "10.1.1.5", "model_server": {**SERVER, "address": "gpu.internal"}})
    assert settings(inventory([named], ["a"]), "a").backends["gpu"].url == "http://gpu.internal:8080"


def test_two_model_hosts_share_a_model() -> None:
    servers = [(name, {"model_server": SERVER}) for name in ("gpu1", "gpu2")]
    agent = settings(inventory(servers, ["192.168.1.10"]), "192.168.1.10")
    assert [name for name, record in agent.backends.items() if "local" in record.models and record.enabled] == [
        "gpu1", "gpu2",
    ]  # fmt: skip
