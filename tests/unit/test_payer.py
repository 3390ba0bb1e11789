"""Who is billed is said of each server, and what a server that bills is not: local, free, probed, or private."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.desired import addresses
from signalbox.desired.billing import billed, instead
from signalbox.desired.firewall import is_own
from signalbox.desired.gateway_config import container_environment, litellm_config
from signalbox.desired.health import expected
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.facts.reach import Resolved
from signalbox.settings import Settings, SettingsError
from tests.answers import answered
from tests.good_settings import layers, routed

PRICE = {"input": 0.3, "output": 1.2}
ROUTER: dict[str, Any] = {
    "backends": {
        "router": {
            "kind": "openai_compatible",
            "url": "https://models.example.org/api",
            "payer": "the account at models.example.org",
            "models": {"far": {"id": "x/far", "price": PRICE}},
        }
    }
}
FAR = {"lanes": {"local": {"models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "far")}}}
ACCOUNT = "the account at models.example.org"


def settings(*several: dict[str, Any]) -> Settings:
    merged: dict[str, Any] = {}
    for each in several:
        merged |= each
    return Settings.from_layers(layers(merged), host="box1")


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        settings(data)
    return [f"{'.'.join(map(str, each.path))}: {each.text}" for each in raised.value.problems["box1"]]


def test_a_lane_of_such_a_server_bills_its_payer() -> None:
    found = settings(ROUTER, FAR)
    assert billed(found, routing_table(found), found.lanes["local"]) == ACCOUNT
    falls = settings(ROUTER, {"gateway": {"fallbacks": {"local": ["far"]}}})
    assert (
        billed(falls, routing_table(falls), falls.lanes["local"])
        == f"nobody, unless the local server fails: then {ACCOUNT}"
    )
    assert instead(routing_table(falls), falls.lanes["local"]) == [{"model": "far", "at": "router", "billed": ACCOUNT}]


def test_it_is_no_local_server_to_gateway_doctor_or_launcher() -> None:
    found = settings(ROUTER, FAR)
    assert container_environment(found, routing_table(found))["SIGNALBOX_LOCAL"] == "lmstudio"
    (deployment,) = [
        each for each in litellm_config(found, routing_table(found))["model_list"] if each["model_name"] == "far"
    ]
    assert deployment["model_info"]["price"] == {**PRICE, "cached": 0.3}
    assert {"probe_url", "reading"}.isdisjoint(deployment["model_info"])
    wanted = expected(found, routing_table(found), [])
    assert "router" not in wanted["backends"]
    assert "router" in wanted["clouds"]
    assert "far" not in wanted["local"]
    assert lane_records(found, routing_table(found))["lanes"]["local"]["servers"] == {}
    assert list(addresses.of_own(found)) == ["lmstudio"]


def test_a_private_lane_has_no_such_model() -> None:
    private = {
        "lanes": {"local-private": {"models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "far")}}
    }
    said = problems({**ROUTER, **private})
    assert any("has a payer, and the lane is private" in each for each in said)


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ({"all": {"usd": 10, "per": "fortnight"}}, "budgets.all.per"),
        ({"all": {"usd": -1}}, "budgets.all.usd"),
        ({"all": {"usd": True}}, "budgets.all.usd"),
        ({"all": {"dollars": 1}}, "budgets.all"),
        ({"lanes": {"locla": {"usd": 1}}}, 'budgets.lanes.locla: there is no lane "locla"; did you mean "local"?'),
        ({"lanes": {"local-private": {"usd": 1}}}, "budgets.lanes.local-private: this lane goes past the gateway"),
        ({"clouds": {"lmstudio": {"usd": 1}}}, "budgets.clouds.lmstudio: no enabled cloud or backend with a payer"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(budgets: dict[str, Any], said: str) -> None:
    assert any(each.startswith(said) for each in problems({"budgets": budgets})), problems({"budgets": budgets})


def test_with_a_budget_an_unknown_price_is_refused() -> None:
    unknown = {"backends": {"router": {**ROUTER["backends"]["router"], "models": {"far": {"id": "x/far"}}}}}
    budget = {"budgets": {"all": {"usd": 10}}}
    (said,) = problems({**unknown, **budget})
    assert said.startswith("backends.router.models.far.price: there is a budget, and nobody knows what this costs")
    for price in (PRICE, "plan"):
        unknown["backends"]["router"]["models"] = {"far": {"id": "x/far", "price": price}}
        found = settings({**unknown, **budget})
        assert found.budgets.all
        assert (found.budgets.all.per, found.budgets.all.stops) == ("day", "fallbacks")
    assert container_environment(found, routing_table(found))["SIGNALBOX_BUDGETS"] == (
        '[{"of": "all", "name": "", "usd": 10.0, "per": "day", "stops": "fallbacks"}]'
    )
    assert "SIGNALBOX_BUDGETS" not in container_environment(*routed(settings({})))


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("192.168.1.5", True), ("10.0.0.1", True), ("127.0.0.1", True), ("::1", True), ("fd00::1", True),
        ("100.101.102.103", True), ("fe80::1", True), ("::ffff:192.168.1.5", True),
        ("203.0.113.7", True),  # of documentation, and so nobody's
        ("1.1.1.1", False), ("2606:4700::1111", False), ("::ffff:1.1.1.1", False), ("172.32.0.1", False),
        ("131.130.1.7", True), ("131.130.2.7", False),
    ],
)  # fmt: skip
def test_a_network_of_ones_own(address: str, own: bool) -> None:
    assert is_own(address, ["131.130.1.0/24"]) == own


def test_addresses_are_read_as_the_host_tells_them() -> None:
    output = answered(
        "name", "studio", "192.168.1.5  STREAM studio\n192.168.1.5  DGRAM\nfe80::1%eth0 RAW\n", "name", "no", ""
    )
    assert Resolved().process(output) == {"studio": ["192.168.1.5", "fe80::1"], "no": []}
