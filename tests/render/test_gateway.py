"""What a host gets for its gateway and its lanes, whole, for the set-ups that people have."""

from __future__ import annotations

import ast
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.desired import gateway_config
from signalbox.desired.gateway_container import container_json
from signalbox.desired.lanes import lane_records
from signalbox.desired.render import render
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets
from signalbox.desired.secret_paths import GATEWAY_KEY, gateway_secret
from signalbox.settings import Settings
from signalbox.tasks.gateway import PLUGINS
from tests.examples import NAMES, example
from tests.good_settings import layers, routed

FOUNDRY = {
    "clouds": {
        "anthropic": {"enabled": False},
        "foundry": {
            "enabled": True,
            "resource": "myfoundry",
            "models": {
                "claude-sonnet-4-6": {"id": "my-sonnet", "aliases": ["foundry-sonnet"]},
                "claude-opus-4-8": {"id": "my-opus", "aliases": ["foundry-opus"]},
                "claude-haiku-4-5": {"id": "my-haiku", "aliases": ["foundry-haiku"]},
            },
        },
    },
}
ONE_USER = {
    "gateway": {"user": None, "port": 4100},
    "secrets": {"on_host": "plain"},
    "launchers": {"flags": ["--verbose"]},
}
# Beside the guide: a model server on the host itself with a token, a private lane, a lane that needs no gateway.
LOOPBACK = {
    "rootless_docker": {"host_loopback": True},
    "backends": {
        "lmstudio": {"url": "http://127.0.0.1:1234", "token": "LMSTUDIO_TOKEN"},
        "second": {
            "kind": "lm_studio",
            "url": "http://192.168.1.21:1234",
            "models": {"quiet": {"id": "qwen/coder", "context_length": 65536, "max_output_tokens": 8192}},
        },
    },
    "gateway": {"fallbacks": {"local": ["claude-sonnet-4-6", "claude-haiku-4-5"]}},
    "lanes": {
        "quiet": {
            "models": dict.fromkeys(["main", "opus", "sonnet", "haiku", "fable", "subagent"], "quiet"),
            "config_dir": "~/.claude-quiet",
            "billed": "nobody",
            "private": True,
            "via": "direct",
            "credential": "none",
        },
        "near": {
            "via": "direct",
            "credential": "none",
            "models": dict.fromkeys(["main", "opus", "sonnet", "haiku", "fable"], "quiet"),
            "config_dir": "~/.claude-near",
            "billed": "nobody",
        },
    },
}


def _local(name: str, **lane: Any) -> dict[str, Any]:
    slots = dict.fromkeys(["main", "opus", "sonnet", "haiku", "fable"], name)
    return {"models": slots, "config_dir": f"~/.claude-{name}", "billed": "nobody", **lane}


# Every other kind, each with a lane; several boxes for one model, in order and side by side.
KINDS = {
    "backends": {
        "lmstudio": {"enabled": False},
        "ollama": {
            "kind": "ollama",
            "url": "http://192.168.1.21:11434",
            "models": {"gemma": {"id": "gemma4:26b-a4b", "context_length": 65536, "max_output_tokens": 8192}},
        },
        "ollama-old": {
            "kind": "ollama",
            "url": "http://192.168.1.22:11434",
            "models": {"gemma": {"id": "gemma4:26b-a4b", "context_length": 32768, "order": 2, "aliases": ["old"]}},
        },
        "llama": {
            "kind": "llama_cpp",
            "url": "http://192.168.1.23:8080",
            "token": "LLAMA_KEY",
            "models": {"qwen": {"id": "qwen3.6-27b-mtp", "context_length": 65536, "max_output_tokens": 8192}},
        },
        "vllm-a": {"kind": "vllm", "url": "http://192.168.1.24:8000", "models": {"devstral": {"id": "devstral"}}},
        "vllm-b": {"kind": "vllm", "url": "http://192.168.1.25:8000", "models": {"devstral": {"id": "devstral"}}},
        "webui": {
            "kind": "openai_compatible",
            "url": "https://chat.example.com/api",
            "token": "WEBUI_KEY",
            "models": {"webui": {"id": "gemma4", "litellm_params": {"temperature": 0.7}}},
        },
    },
    "clouds": {
        "mistral": {
            "enabled": True,
            "models": {
                "mistral-medium": {
                    "id": "mistral-medium-latest",
                    "context_length": 131072,
                    "max_output_tokens": 8192,
                }
            },
        }
    },
    "gateway": {"fallbacks": {"local": [], "gemma": ["qwen", "claude-haiku-4-5"], "devstral": ["mistral-medium"]}},
    "lanes": {
        "routed": {"models": {"haiku": "gemma"}},
        "local": _local("gemma", config_dir="~/.claude-local"),
        "local-private": {"enabled": False},
        "llama": _local("qwen", via="direct", credential="LLAMA_KEY"),
        "ollama": _local("gemma", via="direct", credential="none"),
        "vllm": _local("devstral"),
        "vibe": _local("mistral-medium", billed="the Mistral account of MISTRAL_API_KEY"),
        "webui": _local("webui"),
    },
}
CASES: dict[str, dict[str, Any]] = {"guide": {}, "foundry": FOUNDRY, "one-user": ONE_USER, "loopback": LOOPBACK}
CASES["kinds"] = KINDS

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")


def settings(case: str) -> Settings:
    return Settings.from_layers(layers(CASES[case]), host="box1")


def unit(each: Settings) -> str:
    home = each.gateway_account.path(".config/signalbox/gateway")
    return render(
        "gateway/litellm.service",
        port=each.gateway.port,
        start_timeout_seconds=each.gateway.start_timeout_seconds,
        limits=each.gateway.limits,
        home=home,
        programs=f"{home}/supervisor",
        inputs=(each.gateway_account.path(".config/systemd/user/litellm.service"), f"{home}/supervisor/stage.py"),
    )


def container(each: Settings) -> str:
    names = (GATEWAY_KEY, *gateway_secrets(each, routing_table(each)))
    key_files = {name: gateway_secret(each.secrets, each.gateway_account, name) for name in names}
    return container_json(each.gateway, gateway_config.container(each, routing_table(each)), key_files)


@pytest.mark.parametrize("case", CASES)
def test_rendering_is_as_it_was(case: str, golden: Callable[[str, str], None]) -> None:
    each = settings(case)
    golden(
        f"{case}/config.yaml",
        yaml.safe_dump(gateway_config.litellm_config(each, routing_table(each)), sort_keys=False, allow_unicode=True),
    )
    golden(f"{case}/litellm.service", unit(each))
    golden(f"{case}/container.json", container(each))
    golden(f"{case}/lanes.json", json.dumps(lane_records(each, routing_table(each)), indent=2, sort_keys=True) + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_routed_as_it_was(name: str, golden: Callable[[str, str], None]) -> None:
    config = gateway_config.litellm_config(
        *routed(Settings.from_layers(layers(example(name)), host="box1")),
    )
    golden(f"examples/{name}.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def test_start_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    names = {"entrypoint": "/app/docker-entrypoint.sh", "gateway_key": GATEWAY_KEY}
    golden("start", render("gateway/start", plugins={"gateway/one.py": "EMPTY = {{}}\n"}, **names))


def test_all_that_a_plug_in_imports_is_placed() -> None:
    wanted = set()
    for path, text in PLUGINS.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level:
                parts = [*path.split("/")[: 2 - node.level], *(node.module or "").split(".")]
                module = "/".join(filter(None, parts))
                wanted |= {module} if "/" in module else {f"{module}/{each.name}" for each in node.names}
    assert "shared/no_answer" in wanted
    assert {f"{each}.py" for each in wanted} <= PLUGINS.keys()


def verified(text: str, directory: Path) -> list[str]:
    """Return what systemd has against a unit, without what only this machine lacks."""
    path = directory / "litellm.service"
    path.write_text(text)
    command = ["systemd-analyze", "--user", "verify", "--man=no", str(path)]
    variables = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(directory)}
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables).stderr
    assert "Failed to initialize manager" not in said
    # Debian 12's systemd, where tests may run, is older than the hosts'; Docker is on hosts alone.
    lacking = ("docker is not executable", "Unknown key 'RestartSteps'", "Unknown key 'RestartMaxDelaySec'")
    return [
        line for line in said.splitlines() if "litellm.service" in line and not any(word in line for word in lacking)
    ]


@needs_systemd
@pytest.mark.parametrize("case", CASES)
def test_systemd_understands_the_unit(case: str, tmp_path: Path) -> None:
    assert verified(unit(settings(case)), tmp_path) == []


@needs_systemd
def test_systemd_would_tell(tmp_path: Path) -> None:
    broken = unit(settings("guide")).replace("Restart=always", "Restart=sometimes")
    assert any("sometimes" in line for line in verified(broken, tmp_path))


@pytest.mark.parametrize("case", CASES)
def test_no_command_of_the_container_holds_a_secret(case: str) -> None:
    run = json.loads(container(settings(case)))["run"]
    given = [word for before, word in itertools.pairwise(run) if before == "--env"]
    assert len(given) == run.count("--env")
    assert {word.split("=", 1)[0] for word in given} == set(
        gateway_config.container_environment(*routed(settings(case)))
    )


def test_the_container_and_the_unit_have_limits() -> None:
    each = settings("guide")
    limits = each.gateway.limits.model_copy(update={"memory_mib": 1024, "tasks": 300, "files": 500})
    each = replace(each, gateway=each.gateway.model_copy(update={"limits": limits}))
    words = " ".join(json.loads(container(each))["run"])
    assert "--memory 1024m --memory-swap 1024m --pids-limit 300 --ulimit nofile=500:500" in words
    assert words.count(":size=64m") == words.count("--tmpfs") == 3
    lines = unit(each).splitlines()
    assert {"MemoryMax=1024M", "TasksMax=300", "LimitNOFILE=500"} <= set(lines)


def test_more_authorities_are_those_of_the_host() -> None:
    run = json.loads(container(replace(settings("guide"), extra_ca_certificates=["(a certificate)"])))["run"]
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert f"SSL_CERT_FILE={bundle}" in run
    assert f"type=bind,src={bundle},dst={bundle},readonly" in run


def test_a_private_model_has_no_way_out() -> None:
    router = gateway_config.litellm_config(*routed(settings("loopback")))["router_settings"]
    assert not [
        name
        for key in ("fallbacks", "context_window_fallbacks")
        for each in router[key]
        for name in each
        if name == "quiet"
    ]
    assert "default_fallbacks" not in router
