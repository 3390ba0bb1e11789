"""Forty settings that would hide who pays: each is refused before anything is changed, or told as billed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from signalbox.desired import addresses
from signalbox.desired.billing import billed
from signalbox.desired.gateway_config import container_environment
from signalbox.desired.routing import routing_table
from signalbox.settings import Settings, SettingsError
from tasks import preflight
from tests.good_settings import layers

# What the host's resolver says of names; a CNAME's end is what getent tells.
FOUND = {
    "openrouter.ai": ["104.18.2.115", "2606:4700::6812:273"],
    "models.home.example": ["35.186.224.25"],  # a CNAME to somebody's cloud
    "studio.lan": ["192.168.1.20"],
    "both.lan": ["192.168.1.20", "34.120.0.7"],
    "six.example": ["2001:4860:4860::8888"],
    "mapped.example": ["::ffff:8.8.8.8"],
    "uni.example": ["131.130.2.7"],
}
SLOTS = dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "far")
ON_FAR = {"local": {"models": SLOTS}}
CLOUD = "the Claude API account of ANTHROPIC_DIRECT_KEY"
PAYER = "the account at OpenRouter"


def server(url: str, **record: Any) -> dict[str, Any]:
    """Return settings with a server at this address, and the lane local on its model."""
    model = record.pop("model", {})
    models = {"far": {"id": "x", **model}}
    return {
        "backends": {"far": {"kind": "openai_compatible", "url": url, "models": models, **record}},
        "lanes": ON_FAR,
    }


def lane(name: str, **settings: Any) -> dict[str, Any]:
    return {"lanes": {name: settings}}


def own(**record: Any) -> dict[str, Any]:
    return {"backends": {"lmstudio": record}}


def said(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return what refuses the settings, or "", and what is told of the lanes."""
    try:
        settings = Settings.from_layers(layers(data), host="box1")
    except SettingsError as error:
        return "; ".join(f"{'.'.join(map(str, each.path))}: {each.text}" for each in error.problems["box1"]), {}
    own_servers = addresses.of_own(settings)
    monkeypatch.setattr(preflight, "host", SimpleNamespace(get_fact=lambda *_, **__: ["131.130.1.0/24"]))
    found = {each: FOUND.get(each, [each]) for each in own_servers.values()}
    refused = "; ".join(preflight._payers(own_servers, found))
    routing = routing_table(settings)
    told = {name: billed(settings, routing, each) for name, each in settings.lanes.items() if each.enabled}
    local = container_environment(settings, routing)["SIGNALBOX_LOCAL"].split()
    assert all(settings.backends[name].payer is None for name in local)  # whom the gateway counts as free
    return refused, told


REFUSED: list[tuple[dict[str, Any], str]] = [
    # Servers at public addresses without a payer, whatever kind they are called.
    (server("https://openrouter.ai/api"), 'write "payer": "the account at openrouter.ai"'),
    (server("https://openrouter.ai/api", kind="lm_studio"), "openrouter.ai is 104.18.2.115"),
    (server("http://openrouter.ai", kind="ollama"), "openrouter.ai is 104.18.2.115"),
    (server("https://openrouter.ai/api", kind="vllm"), "openrouter.ai is 104.18.2.115"),
    (server("https://openrouter.ai/api", kind="llama_cpp"), "openrouter.ai is 104.18.2.115"),
    (server("https://OpenRouter.ai/api"), "openrouter.ai is 104.18.2.115"),
    (server("https://models.home.example"), "models.home.example is 35.186.224.25"),  # a CNAME
    (server("http://both.lan:1234"), "both.lan is 34.120.0.7"),  # one of its addresses is enough
    (server("http://six.example:1234"), "six.example is 2001:4860:4860::8888"),
    (server("http://mapped.example:1234"), "mapped.example is ::ffff:8.8.8.8"),
    (server("http://uni.example:1234"), "uni.example is 131.130.2.7"),  # beside the network that is attached
    (server("http://8.8.8.8:1234"), "8.8.8.8 is on no network of this host's"),
    (server("http://172.32.0.1:1234"), "172.32.0.1 is on no network of this host's"),  # just outside of RFC 1918
    (server("http://[2001:4860:4860::8888]:1234"), "IPv6 address"),
    (server("http://[::ffff:8.8.8.8]:1234"), "IPv6 address"),
    (server("http://user:key@192.168.1.21:1234"), "holds a user or password"),
    (server("http://192.168.1.21:1234", kind="openrouter"), "backends.far.kind"),
    (server("http://127.0.0.1:4000"), "the gateway itself"),
    (own(url="https://openrouter.ai/api"), 'into backends.lmstudio'),
    (server("https://openrouter.ai/api", payer=""), "backends.far.payer"),
    (server("https://openrouter.ai/api", payer=" "), "backends.far.payer"),
    # Further members of LiteLLM's entry that lead elsewhere, or tell another price.
    *((server("http://192.168.1.21:1234", model={"litellm_params": {name: value}}), f'"{name}" is decided elsewhere')
      for name, value in {"api_base": "https://openrouter.ai/api/v1", "base_url": "https://openrouter.ai/api/v1",
                          "custom_llm_provider": "openrouter", "use_litellm_proxy": True, "model": "openrouter/x",
                          "fallbacks": ["claude-opus-4-8"], "input_cost_per_token": 0}.items()),
    (server("http://192.168.1.21:1234", model={"litellm_params": {"x": "os.environ/ANTHROPIC_DIRECT_KEY"}}),
     "the gateway gets the keys of its records alone"),
    # One name on a box of one's own and on one that bills.
    (server("https://openrouter.ai/api", payer=PAYER) | {"lanes": {}} | {"backends": {
        "far": {"kind": "openai_compatible", "url": "https://openrouter.ai/api", "payer": PAYER,
                "models": {"local": {"id": "x"}}}}}, "answers of far alone are billed"),
    # Words of one's own that say that nobody pays.
    (lane("cloud", billed="nobody"), 'lanes.cloud.billed: "nobody" is not so'),
    (lane("local", billed="nobody"), "the account of anthropic may be billed here"),
    (lane("routed", billed="My plan; background work is local and free"), '"free" is not so'),
    (lane("api", enabled=True, billed="Nothing, it is a trial"), '"Nothing" is not so'),
    # Prices that are none.
    (server("https://openrouter.ai/api", payer=PAYER, model={"price": {"input": -1, "output": 1}}), "price"),
    (server("https://openrouter.ai/api", payer=PAYER, model={"price": "free"}), "price"),
    # Nobody who bills in a private lane.
    (server("https://openrouter.ai/api", payer=PAYER, kind="vllm") | lane("local-private", models=SLOTS),
     "has a payer, and the lane is private"),
    (lane("local-private", via="gateway", credential="gateway"), "the gateway knows the clouds"),
]  # fmt: skip

TOLD: list[tuple[dict[str, Any], str, str]] = [
    (server("https://openrouter.ai/api", payer=PAYER), "local", PAYER),
    (server("http://192.168.1.21:1234", payer=PAYER), "local", PAYER),  # a proxy of one's own that asks a cloud
    (lane("local", billed="my employer"), "local", CLOUD),
    (lane("cloud", billed="the team's budget"), "cloud", CLOUD),
    (lane("routed", billed="ours"), "routed", "background work is free unless the local server fails: then the same"),
    ({"clouds": {"anthropic": {"url": "http://192.168.1.30:8080"}}}, "cloud", CLOUD),  # the account pays all the same
    ({"gateway": {"quota_fallbacks": {"local": ["claude-opus-4-8"]}}}, "local", CLOUD),
]


@pytest.mark.parametrize(("data", "words"), REFUSED)
def test_what_would_hide_a_payer_is_refused(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], words: str) -> None:
    refused, _ = said(monkeypatch, data)
    assert words in refused, refused


@pytest.mark.parametrize(("data", "name", "words"), TOLD)
def test_or_told_as_billed(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], name: str, words: str) -> None:
    refused, told = said(monkeypatch, data)
    assert refused == ""
    assert words in told[name]


def test_there_are_forty_and_what_hides_nobody_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(REFUSED) + len(TOLD) >= 40
    for url in ("http://studio.lan:1234", "http://192.168.1.21:1234", "http://100.101.102.103:1234"):
        refused, told = said(monkeypatch, server(url) | {"gateway": {"fallbacks": {"local": []}}})
        assert (refused, told["local"]) == ("", "nobody")
