"""Clouds of every kind: what LiteLLM is told of them, what is missing or too much, what they need."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.backends import CLOUDS
from signalbox.desired import addresses
from signalbox.desired.billing import billed
from signalbox.desired.gateway_config import container_environment, litellm_config
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets
from signalbox.settings import Settings, SettingsError
from tests.good_settings import layers

SLOTS = ("main", "opus", "sonnet", "haiku", "fable")
OTHER = {"id": "x/far", "context_length": 131072, "max_output_tokens": 8192, "price": {"input": 1, "output": 2}}
CLAUDE = {"id": "us.anthropic.claude-sonnet-4-6"}
KEY = "os.environ/THE_KEY"
# Kind: its record beside kind, secret and models; what LiteLLM is told; where the gateway asks.
RECORDS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "openai": (
        {"url": "https://api.openai.com"},
        {"model": "openai/x/far", "api_base": "https://api.openai.com/v1", "api_key": KEY},
        ("api.openai.com:443",),
    ),
    "gemini": (
        {"url": "https://generativelanguage.googleapis.com"},
        {"model": "gemini/x/far", "api_base": "https://generativelanguage.googleapis.com/v1beta", "api_key": KEY},
        ("generativelanguage.googleapis.com:443",),
    ),
    "openrouter": (
        {"url": "https://openrouter.ai/api"},
        {"model": "openrouter/x/far", "api_base": "https://openrouter.ai/api/v1", "api_key": KEY},
        ("openrouter.ai:443",),
    ),
    "anthropic_compatible": (
        {"url": "https://api.z.ai/api/anthropic"},
        {"model": "anthropic/x/far", "api_base": "https://api.z.ai/api/anthropic", "api_key": KEY},
        ("api.z.ai:443",),
    ),
    "openai_compatible": (
        {"url": "https://api.groq.com/openai"},
        {"model": "hosted_vllm/x/far", "api_base": "https://api.groq.com/openai/v1", "api_key": KEY},
        ("api.groq.com:443",),
    ),
    "bedrock": (
        {"region": "us-east-1"},
        {"model": "bedrock/us.anthropic.claude-sonnet-4-6", "aws_region_name": "us-east-1", "api_key": KEY,
         "aws_bedrock_runtime_endpoint": "https://bedrock-runtime.us-east-1.amazonaws.com"},
        ("bedrock-runtime.us-east-1.amazonaws.com:443",),
    ),
    "vertex": (
        {"region": "us-east5", "project": "my-project-4711"},
        {"model": "vertex_ai/us.anthropic.claude-sonnet-4-6", "vertex_project": "my-project-4711",
         "vertex_location": "us-east5", "vertex_credentials": KEY},
        ("us-east5-aiplatform.googleapis.com:443", "oauth2.googleapis.com:443"),
    ),
}  # fmt: skip


def _data(kind: str, **more: Any) -> dict[str, Any]:
    name, model = ("far-claude-sonnet-4-6", CLAUDE) if CLOUDS[kind].serves_claude else ("far", OTHER)
    record = {"kind": kind, "secret": "THE_KEY", "models": {name: model}, **RECORDS[kind][0], **more}
    return {
        "clouds": {"far": record, "anthropic": {"enabled": False}},
        "gateway": {"fallbacks": {"local": [name]}},
        "lanes": {
            "cloud": {"models": dict.fromkeys(SLOTS, name)},
            "routed": {"models": {**dict.fromkeys(SLOTS, name), "haiku": "local"}},
        },
    }


def _settings(kind: str, **more: Any) -> Settings:
    return Settings.from_layers(layers(_data(kind, **more)), host="box1")


def _problems(kind: str, **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        _settings(kind, **more)
    return [f"{'.'.join(map(str, each.path))}: {each.text}" for each in raised.value.problems["box1"]]


@pytest.mark.parametrize("kind", RECORDS)
def test_litellm_is_told_of_it_and_its_account_is_billed(kind: str) -> None:
    found = _settings(kind)
    routing = routing_table(found)
    _, params, asked = RECORDS[kind]
    (entry,) = [
        each for each in litellm_config(found, routing)["model_list"] if each["model_info"]["id"].startswith("far/")
    ]
    assert entry["litellm_params"] == params
    assert gateway_secrets(found, routing) == ["THE_KEY"]
    assert container_environment(found, routing)["SIGNALBOX_LOCAL"] == "lmstudio"
    assert "probe_url" not in entry["model_info"]
    assert set(asked) <= set(addresses.of_clouds(found))
    account = f"{CLOUDS[kind].account} of THE_KEY"
    assert billed(found, routing, found.lanes["cloud"]) == account
    assert billed(found, routing, found.lanes["local"]) == f"nobody, unless the local server fails: then {account}"
    assert lane_records(found, routing)["lanes"]["cloud"]["context"] == (None if CLOUDS[kind].serves_claude else 131072)


def test_bedrock_takes_an_access_key_too() -> None:
    found = _settings("bedrock", access_key_id="THE_ID")
    (entry,) = [
        each
        for each in litellm_config(found, routing_table(found))["model_list"]
        if each["model_info"]["id"].startswith("far/")
    ]
    params = entry["litellm_params"]
    assert (params["aws_access_key_id"], params["aws_secret_access_key"]) == ("os.environ/THE_ID", KEY)
    assert "api_key" not in params
    assert gateway_secrets(found, routing_table(found)) == ["THE_ID", "THE_KEY"]


def test_an_endpoint_on_the_hosts_own_loopback_has_its_name_in_the_container() -> None:
    found = _settings("bedrock", url="http://127.0.0.1:8084")
    told = litellm_config(found, routing_table(found))["model_list"]
    assert any(
        each["litellm_params"].get("aws_bedrock_runtime_endpoint") == "http://host.docker.internal:8084"
        for each in told
    )


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("openai", {"url": None}, "clouds.far.url: missing; write the server's address, such as https://api.openai.com"),
        ("openai", {"url": "https://api.openai.com/v1"}, 'ends in /v1, which the gateway adds itself; write "https://api.openai.com"'),
        ("openai", {"region": "us-east-1"}, "clouds.far.region: openai has none; write None here"),
        ("gemini", {"project": "my-project-4711"}, "clouds.far.project: gemini has none"),
        ("openrouter", {"resource": "mine"}, "clouds.far.resource: openrouter has none"),
        ("openrouter", {"bearer": True}, "clouds.far.bearer: openrouter has none; write False here"),
        ("anthropic_compatible", {"url": "https://api.deepseek.com/anthropic/v1/messages"}, "ends in /v1/messages"),
        ("openai_compatible", {"access_key_id": "THE_ID"}, "access_key_id: openai_compatible has none"),
        ("bedrock", {"region": None}, "clouds.far.region: missing; write the AWS region"),
        ("bedrock", {"region": "Virginia"}, "clouds.far.region"),
        ("bedrock", {"models": {"far-claude-sonnet-4-6": {"id": "anthropic.claude-sonnet-4-6"}}},
         "clouds.far.models.far-claude-sonnet-4-6.id: \"anthropic.claude-sonnet-4-6\" is not sold on demand"),
        ("vertex", {"project": None}, "clouds.far.project: missing"),
        ("vertex", {"region": None}, "clouds.far.region: missing"),
        ("vertex", {"secret": None}, "clouds.far.secret: missing"),
        ("gemini", {"models": {"claude-x": OTHER}}, "is a name that Claude Code takes for a Claude"),
        ("openai", {"models": {"far": {"id": "x"}}}, "clouds.far.models.far.context_length: missing"),
        ("openai", {"url": "http://api.openai.com"}, "would send the key in clear"),
    ],
)  # fmt: skip
def test_what_is_missing_or_too_much_is_told(kind: str, more: dict[str, Any], said: str) -> None:
    told = _problems(kind, **more)
    assert any(said in each for each in told), told
