"""What is said of model servers that the gateway's container does not reach, before a deploy and at its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from signalbox.desired.routing import routing_table
from signalbox.facts import ModelServers, Reachable
from signalbox.fleet import from_the_gateway
from signalbox.settings import Settings
from signalbox.tasks import preflight
from tests.good_settings import layers

LOOK = "http://127.0.0.1:4000/signalbox/servers"
ADDRESS = "192.168.1.20:1234"


def asked(data: dict[str, Any] | None = None) -> from_the_gateway.Asked | None:
    settings = Settings.from_layers(layers(data or {}), host="box1")
    return from_the_gateway.asked(settings, routing_table(settings))


def test_each_server_has_the_lanes_that_need_it() -> None:
    gateway = asked()
    assert gateway is not None
    assert (gateway.look, dict(gateway.servers)) == (LOOK, {"lmstudio": ADDRESS})
    assert set(gateway.lanes["lmstudio"]) == {"local", "routed"}  # and no direct lane


def test_without_a_gateway_nobody_is_asked() -> None:
    direct = {"local": {"enabled": False}, "routed": {"enabled": False}, "cloud": {"enabled": False}}
    assert asked({"gateway": {"enabled": False}, "lanes": direct}) is None


@pytest.mark.parametrize(
    "answer", [None, [], {"lmstudio": None}, {"lmstudio": "curl\x1b"}, {"lmstudio": True}, {"x": 1}]
)
def test_what_it_has_not_told_is_not_known(answer: Any) -> None:
    gateway = asked()
    assert gateway is not None
    assert gateway.told(answer) == {}


@pytest.mark.parametrize(
    ("word", "there", "symptom", "seen"),
    [
        (
            "timeout",
            True,
            "backend-from-container",
            "this host reaches it, the gateway's container does not: no answer",
        ),
        ("name", True, "backend-from-container", "no IPv4 address is known by its name there"),
        ("refused", False, "backend-off", "the gateway does not reach it: it refuses connections"),
        ("certificate", True, "tls", "signed by nobody who is known there"),
        ("certificate-expired", True, "certificate-expired", "has expired"),
    ],
)
def test_cause_and_cure_are_said(word: str, there: bool, symptom: str, seen: str) -> None:
    gateway = asked()
    assert gateway is not None
    (words,) = gateway.warnings(gateway.told({"lmstudio": word, "another": "refused"}), {ADDRESS: there})
    assert f"[{symptom}]: lmstudio at {ADDRESS}, of the lanes " in words
    assert seen in words
    assert not list(gateway.warnings(gateway.told({"lmstudio": 401}), {ADDRESS: there}))


@pytest.mark.parametrize(
    ("said", "there", "warned"),
    [
        ({"lmstudio": 200}, False, None),  # it goes another way than the host
        ({"lmstudio": "route"}, True, "backend-from-container"),
        ({"lmstudio": "timeout"}, False, "backend-off"),
        ({}, False, None),
    ],
)
def test_the_preflight_goes_by_what_a_gateway_tells(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], there: bool, warned: str | None
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(preflight, "warn", heard.append)
    monkeypatch.setattr(preflight, "host", SimpleNamespace(get_fact=lambda _, urls, **__: dict.fromkeys(urls, said)))
    settings = Settings.from_layers(layers({}), host="box1").preflight
    known = preflight._by_the_gateway(asked(), {ADDRESS: True} if there else {}, settings)
    assert known == ({ADDRESS} if said else set())
    assert [f"[{warned}]" in each for each in heard] == ([True] if warned else [])


def test_at_a_deploys_end_a_new_gateway_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict[str, Any]] = [{"lmstudio": None}, {"lmstudio": "timeout"}]
    heard: list[str] = []

    def fact(kind: type, **_: Any) -> dict[str, Any]:
        return {LOOK: answers.pop(0)} if kind is ModelServers else {ADDRESS: kind is Reachable}

    host: Any = SimpleNamespace(get_fact=fact, log_styled=lambda words, **_: heard.append(words))
    monkeypatch.setattr(from_the_gateway, "settings_for", lambda _: Settings.from_layers(layers({}), host="box1"))
    monkeypatch.setattr(from_the_gateway, "PAUSE", 0.0)
    from_the_gateway._tell(host)
    assert not answers
    assert ["[backend-from-container]" in each for each in heard] == [True]
