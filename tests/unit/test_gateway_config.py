"""From settings to LiteLLM's configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from signalbox.backends import BACKENDS, CLOUDS, backend_kind
from signalbox.backends.records import Backend, Cloud
from signalbox.desired import gateway_config
from signalbox.desired.lanes import lane_records
from signalbox.desired.secret_names import gateway_secrets
from signalbox.settings import Settings
from tests.good_settings import layers, routed

TOKEN = {"backends": {"lmstudio": {"token": "LMSTUDIO_TOKEN"}}}
ALIAS = {"backends": {"lmstudio": {"models": {"local": {"aliases": ["gpu", "qwen"]}}}}}
OFF = {"backends": {"lmstudio": {"enabled": False}}, "gateway": {"fallbacks": {"local": []}}}
LOOPBACK = {"rootless_docker": {"host_loopback": True}, "backends": {"lmstudio": {"url": "http://[::1]:1234"}}}


def settings(*data: dict[str, Any]) -> Settings:
    return Settings.from_layers(layers(*data), host="box1")


def deployment(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = [each for each in config["model_list"] if each["model_name"] == name]
    assert len(found) == 1
    return dict(found[0])


def test_secrets_are_those_of_enabled_records_alone() -> None:
    assert gateway_secrets(*routed(settings())) == ["ANTHROPIC_DIRECT_KEY"]
    assert gateway_secrets(*routed(settings(TOKEN))) == [
        "ANTHROPIC_DIRECT_KEY",
        "LMSTUDIO_TOKEN",
    ]


def test_a_key_is_a_reference_never_a_value() -> None:
    config = gateway_config.litellm_config(*routed(settings(TOKEN)))
    keys = [each["litellm_params"].get("api_key") for each in config["model_list"]]
    assert set(keys) == {"os.environ/LMSTUDIO_TOKEN", "os.environ/ANTHROPIC_DIRECT_KEY"}
    assert config["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"


def test_an_alias_falls_back_as_its_model_does() -> None:
    router = gateway_config.litellm_config(*routed(settings(ALIAS)))["router_settings"]
    assert router["model_group_alias"]["gpu"] == "local"
    for key in ("fallbacks", "context_window_fallbacks"):
        assert [name for each in router[key] for name in each] == ["local", "gpu", "qwen"]


def test_the_yaml_has_no_anchors() -> None:
    assert "&id" not in yaml.safe_dump(gateway_config.litellm_config(*routed(settings(ALIAS))))


def test_only_a_server_of_ones_own_is_probed() -> None:
    config = gateway_config.litellm_config(*routed(settings()))
    assert deployment(config, "local")["model_info"]["probe_url"] == "http://192.168.1.20:1234/api/v1/models"
    assert deployment(config, "claude-haiku-4-5")["model_info"] == {
        "id": "anthropic/claude-haiku-4-5",
        "claude": True,
    }


def test_the_hosts_own_loopback_has_another_name_in_the_container() -> None:
    local = deployment(gateway_config.litellm_config(*routed(settings(LOOPBACK))), "local")
    assert local["litellm_params"]["api_base"] == "http://host.docker.internal:1234/v1"
    assert local["model_info"]["probe_url"] == "http://host.docker.internal:1234/api/v1/models"


def test_the_environment_names_what_must_be_there_and_nothing_secret() -> None:
    environment = gateway_config.container_environment(*routed(settings(TOKEN)))
    assert environment["SIGNALBOX_REQUIRED"] == "ANTHROPIC_DIRECT_KEY LMSTUDIO_TOKEN"
    assert "SSL_CERT_FILE" not in environment


def test_every_kind_that_settings_accept_is_served() -> None:
    for record, kinds in ((Backend, BACKENDS), (Cloud, CLOUDS)):
        accepted = re.findall(r"'(\w+)'", str(record.model_fields["kind"].annotation))
        assert accepted == list(kinds)


def box(url: str, **model: Any) -> dict[str, Any]:
    return {"kind": "ollama", "url": url, "models": {"local": {"id": "qwen3-coder", **model}}}


def deployments(config: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each["litellm_params"] for each in config["model_list"] if each["model_name"] == name]


def test_boxes_are_asked_in_their_order() -> None:
    config = gateway_config.litellm_config(
        *routed(settings({"backends": {"first": box("http://192.168.1.30:11434"), **SECOND}})),
    )
    found = deployments(config, "local")
    assert [(each["api_base"], each["order"]) for each in found] == [
        ("http://192.168.1.20:1234/v1", 1),
        ("http://192.168.1.30:11434", 1),
        ("http://192.168.1.31:11434", 2),
    ]


SECOND = {"second": box("http://192.168.1.31:11434", order=2, aliases=["gpu"])}


def test_boxes_of_one_order_share_sessions_and_stand_in_for_each_other() -> None:
    shared = gateway_config.litellm_config(
        *routed(settings({"backends": {"first": box("http://192.168.1.30:11434")}})),
    )
    assert [each.get("order") for each in deployments(shared, "local")] == [None, None]
    assert shared["router_settings"]["enable_weighted_failover"] is True
    assert shared["router_settings"]["optional_pre_call_checks"] == ["session_affinity"]
    alone = gateway_config.litellm_config(*routed(settings({"backends": SECOND})))
    assert "enable_weighted_failover" not in alone["router_settings"]


def test_what_boxes_share_is_said_once() -> None:
    router = gateway_config.litellm_config(*routed(settings({"backends": SECOND})))["router_settings"]
    assert router["model_group_alias"]["gpu"] == "local"
    assert [name for each in router["fallbacks"] for name in each] == ["local", "gpu"]


def test_further_parameters_reach_the_entry() -> None:
    more = {"temperature": 0.7, "extra_headers": {"x-team": "one"}}
    config = gateway_config.litellm_config(
        *routed(settings({"backends": {"lmstudio": {"models": {"local": {"litellm_params": more}}}}})),
    )
    assert deployment(config, "local")["litellm_params"] == {
        "model": "lm_studio/qwen/qwen3.6-35b-a3b",
        "api_base": "http://192.168.1.20:1234/v1",
        **more,
    }


def test_a_lane_over_several_boxes_has_the_smallest_window() -> None:
    data = {"backends": {"second": box("http://192.168.1.31:11434", order=2, context_length=65536)}}
    lane = lane_records(*routed(settings(data)))["lanes"]["local"]
    assert lane["environment"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "32768"


def test_a_direct_lane_goes_to_the_backend_that_has_all_its_models() -> None:
    slots = {"main": "local", "opus": "local", "sonnet": "local", "haiku": "small", "fable": "local"}
    second = box("http://192.168.1.31:11434", order=2)
    second["models"]["small"] = {"id": "gemma4:4b"}
    lane = {"via": "direct", "credential": "none", "models": slots, "config_dir": "~/.claude-near"}
    record = lane_records(
        *routed(settings({"backends": {"second": second}, "lanes": {"near": lane}})),
    )["lanes"]["near"]
    assert record["environment"]["ANTHROPIC_BASE_URL"] == "http://192.168.1.31:11434"
    assert record["environment"]["ANTHROPIC_MODEL"] == "qwen3-coder"
    assert record["environment"]["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "gemma4:4b"


@pytest.mark.parametrize("kind", BACKENDS)
def test_every_kind_of_backend_says_how_to_get_more_context(kind: str) -> None:
    data = {"backends": {"lmstudio": {"kind": kind}}, "lanes": {"local-private": {"enabled": False}}}
    record = settings(data).backends["lmstudio"]
    reading = backend_kind(record).reading(record, record.models["local"])
    if kind == "openai_compatible":
        assert reading is None
    else:
        assert reading is not None
        assert "65536" in reading.cure.format(context=65536)


@pytest.mark.parametrize(("deployment_id", "provider"), [("our-claude-sonnet", "azure_ai"), ("fast", "anthropic")])
def test_a_foundry_deployment_is_asked_at_the_anthropic_endpoint_whatever_its_name(
    deployment_id: str, provider: str
) -> None:
    foundry = {
        "enabled": True,
        "resource": "myfoundry",
        "models": {"foundry-claude-sonnet-4-6": {"id": deployment_id}},
    }
    config = gateway_config.litellm_config(*routed(settings({"clouds": {"foundry": foundry}})))
    params = deployment(config, "foundry-claude-sonnet-4-6")["litellm_params"]
    assert params["model"] == f"{provider}/{deployment_id}"
    assert params["api_base"] == "https://myfoundry.services.ai.azure.com/anthropic"
