"""From settings to LiteLLM's configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from signalbox import routes
from signalbox.backends import BACKENDS, CLOUDS, Loaded, kind_of
from signalbox.settings import Settings
from signalbox.settings.records import Backend, Cloud
from tests.good_settings import layers

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
    assert routes.required_secrets(settings()) == ["ANTHROPIC_DIRECT_KEY"]
    assert routes.required_secrets(settings(TOKEN)) == ["ANTHROPIC_DIRECT_KEY", "LMSTUDIO_TOKEN"]


def test_a_key_is_a_reference_never_a_value() -> None:
    config = routes.litellm_config(settings(TOKEN))
    keys = [each["litellm_params"].get("api_key") for each in config["model_list"]]
    assert set(keys) == {"os.environ/LMSTUDIO_TOKEN", "os.environ/ANTHROPIC_DIRECT_KEY"}
    assert config["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"


def test_an_alias_falls_back_as_its_model_does() -> None:
    router = routes.litellm_config(settings(ALIAS))["router_settings"]
    assert router["model_group_alias"]["gpu"] == "local"
    for key in ("fallbacks", "context_window_fallbacks"):
        assert [name for each in router[key] for name in each] == ["local", "gpu", "qwen"]


def test_the_yaml_has_no_anchors() -> None:
    assert "&id" not in yaml.safe_dump(routes.litellm_config(settings(ALIAS)))


def test_only_a_server_of_ones_own_is_probed() -> None:
    config = routes.litellm_config(settings())
    assert deployment(config, "local")["model_info"]["probe_url"] == "http://192.168.1.20:1234/api/v1/models"
    assert "model_info" not in deployment(config, "claude-haiku-4-5")


def test_the_hosts_own_loopback_has_another_name_in_the_container() -> None:
    local = deployment(routes.litellm_config(settings(LOOPBACK)), "local")
    assert local["litellm_params"]["api_base"] == "http://host.docker.internal:1234/v1"
    assert local["model_info"]["probe_url"] == "http://host.docker.internal:1234/api/v1/models"


def test_the_environment_names_what_must_be_there_and_nothing_secret() -> None:
    environment = routes.container_environment(settings(TOKEN))
    assert environment["SIGNALBOX_REQUIRED"] == "ANTHROPIC_DIRECT_KEY LMSTUDIO_TOKEN"
    assert "SSL_CERT_FILE" not in environment


def test_every_kind_that_settings_accept_is_served() -> None:
    for record, kinds in ((Backend, BACKENDS), (Cloud, CLOUDS)):
        accepted = re.findall(r"'(\w+)'", str(record.model_fields["kind"].annotation))
        assert accepted == list(kinds)


def test_lm_studio_tells_what_it_has_loaded() -> None:
    record = settings().backends["lmstudio"]
    probe = kind_of(record).probe(record)
    assert probe.read is not None
    answer = {
        "models": [
            {
                "key": "qwen/coder",
                "max_context_length": 262144,
                "capabilities": {"trained_for_tool_use": True},
                "loaded_instances": [{"id": "qwen/coder:2", "config": {"context_length": 8192}}],
            },
            {"key": "not/loaded", "max_context_length": 4096, "loaded_instances": []},
        ]
    }
    assert probe.read(answer) == [Loaded("qwen/coder", 8192, True), Loaded("qwen/coder:2", 8192, True)]
    with pytest.raises(KeyError):
        probe.read({"error": "Unexpected endpoint or method. (GET /api/v1/models)"})
