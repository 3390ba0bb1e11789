"""What somebody has by hand: shell files lose launchers and no more; a gateway's configuration is understood."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.desired.billing import billed
from signalbox.desired.routing import routing_table
from signalbox.init import adopted_settings, existing_host, project
from signalbox.init.adopted_settings import Taken
from signalbox.init.to_settings import Local, Wishes
from signalbox.operations.by_hand import without
from signalbox.settings import Settings
from signalbox.settings.layers import merge
from tests.good_settings import GOOD, KEY

NAMES, FILES = ("claude-routed", "claude-local"), (".config/claude-secrets.env",)
# what a shell file holds: what is left of it
SHELLS = {
    'claude-routed() {\n  claude "$@"\n}\nexport A=1\n': "export A=1\n",
    "function claude-local {\n  if x; then\n    y\n  fi\n}\n": "",
    "claude-local() { claude; }\nalias mine='echo mine'\n": "alias mine='echo mine'\n",
    "alias claude-routed='claude'\n": "",
    "my-claude-routed() {\n  x\n}\n": "my-claude-routed() {\n  x\n}\n",
    "if [ -f ~/.config/claude-secrets.env ]; then\n  set -a\n  . claude-secrets.env\n  set +a\nfi\nb\n": "b\n",
    "set -a; source ~/.config/claude-secrets.env; set +a\n": "",
    "[ -f ~/.config/claude-secrets.env ] && . ~/.config/claude-secrets.env\nlast\n": "last\n",
    "if [ -f ~/.config/claude-secrets.env ]; then . ~/.config/claude-secrets.env; fi\nlast\n": "last\n",
    "# claude-secrets.env was here\n": "# claude-secrets.env was here\n",
    "# claude-routed() {\nif true; then\n  a\nfi\n": "# claude-routed() {\nif true; then\n  a\nfi\n",
}


@pytest.mark.parametrize("text", SHELLS)
def test_a_shell_file_loses_that_and_nothing_else(text: str, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text(text)
    done = subprocess.run(["sh", "-c", without("rc", NAMES, FILES)], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, SHELLS[text]), done.stderr


def test_a_function_without_an_end_is_left_to_the_person(tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("claude-routed() {\n  claude\nexport KEPT=1\n")
    done = subprocess.run(["sh", "-c", without("rc", NAMES, FILES)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3


FOUNDRY = "https://myfoundry.services.ai.azure.com/anthropic"
LOCAL = Local("lm_studio", "http://192.168.1.20:1234", "qwen/qwen3.6-35b-a3b", 65536)
FAMILIES = ("sonnet", "opus", "haiku")
BOX = ("local", "lm_studio/qwen/qwen3.6-35b-a3b", "http://192.168.1.20:1234/v1", "os.environ/LMSTUDIO_API_KEY")
DIRECT = [
    (f"claude-{each}", f"anthropic/claude-{each}-{version}", "", "os.environ/KEY")
    for each, version in zip(FAMILIES, ("4-6", "4-8", "4-5"), strict=True)
]
AZURE = [(f"foundry-{each}", f"azure_ai/ours-{each}", FOUNDRY, "os.environ/AZ") for each in FAMILIES]
AZURE_OLD = [(f"foundry-{each}", f"anthropic/ours-{each}", FOUNDRY, "os.environ/AZ") for each in FAMILIES]
FILE = "KEY=sk-ant-0000000000000000\nAZ=azure-00000000000000\nLITELLM_MASTER_KEY=sk-x\nMORE=kept-by-the-person\n"
REACHED = Wishes(address="192.168.1.10", logins=(KEY,), vault_key="file:~/vault.key")
Rows = list[tuple[str, str, str, str]]


def _config(models: Rows, **more: Any) -> str:
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_base": base or None, "api_key": key}}
        for name, model, base, key in models
    ]
    return yaml.safe_dump({"model_list": listed, **more})


def _taken(models: Rows, *, more: dict[str, Any] | None = None, file: str = FILE, **told: str) -> Taken:
    config = _config(models, **(more or {}))
    found = existing_host.understood({"config": config, "secrets": file, **told}, "claude")
    return adopted_settings.taken(found, REACHED, LOCAL if adopted_settings.local_entry(found) else None)


def _settings(taken: Taken) -> Settings:
    """Return the settings that come of it, which a deploy would take."""
    draft = project.draft({}, {}, taken.wishes)
    (label, shipped), *others = draft.layers
    return Settings.from_layers([(label, merge(shipped, {"pins": GOOD["pins"]})), *others], host="192.168.1.10")


def _billed(made: Settings, lane: str) -> str:
    return billed(made, routing_table(made), made.lanes[lane])


@pytest.mark.parametrize(
    ("models", "cloud"),
    [
        ([BOX, *DIRECT], "anthropic"),
        ([BOX, *AZURE], "foundry"),
        (AZURE_OLD, "foundry"),
        ([BOX, *DIRECT, *AZURE], "both"),
        ([BOX], "none"),
    ],
)
def test_the_guides_clouds_become_valid_settings_with_the_names_of_before(models: Rows, cloud: str) -> None:
    taken = _taken(models)
    made = _settings(taken)
    assert (taken.wishes.cloud, taken.told) == (cloud, [])
    served = {
        name
        for section in (made.backends, made.clouds)
        for record in section.values()
        if record.enabled
        for model in record.models.values()
        for name in model.names
    }
    assert {name for name, *_ in models} <= served
    if cloud in ("foundry", "both"):
        assert made.clouds["foundry"].resource == "myfoundry"
        prefix = "foundry-" if cloud == "both" else ""
        assert made.clouds["foundry"].models[f"{prefix}claude-opus-4-8"].id == "ours-opus"


def test_a_local_model_falls_back_where_it_did_and_nowhere_else() -> None:
    alone = _settings(_taken([BOX, *DIRECT]))
    assert alone.gateway.fallbacks["local"] == []
    assert _billed(alone, "local") == "nobody"
    of_before = {"router_settings": {"fallbacks": [{"local": ["claude-sonnet", "foundry-opus"]}]}}
    some = _settings(_taken([BOX, *DIRECT, *AZURE], more=of_before))
    assert some.gateway.fallbacks["local"] == ["claude-sonnet-4-6", "foundry-claude-opus-4-8"]
    assert "ANTHROPIC_DIRECT_KEY or the Azure" in _billed(some, "local")
    unknown = _taken([BOX, *DIRECT], more={"litellm_settings": {"fallbacks": [{"local": ["gpt-5"]}]}})
    assert _settings(unknown).gateway.fallbacks["local"] == []
    assert "not taken over: the fallback of local to gpt-5" in unknown.told[0]


def test_the_versions_of_before_stay() -> None:
    older = [("claude-sonnet", "anthropic/claude-sonnet-4-5-20250929", "", "os.environ/KEY")]
    made = _settings(_taken([BOX, *older]))
    model = made.clouds["anthropic"].models["claude-sonnet-4-5"]
    assert (model.id, model.aliases) == ("claude-sonnet-4-5-20250929", ["claude-sonnet"])
    assert made.lanes["routed"].models["main"] == "claude-sonnet-4-5"
    assert made.lanes["cloud"].models["opus"] == "claude-sonnet-4-5"
    assert made.clouds["anthropic"].models["claude-sonnet-4-6"].aliases == []


def test_who_paid_goes_on_paying() -> None:
    shells = 'claude-routed() {\n  ANTHROPIC_MODEL="foundry-sonnet" \\\n  claude "$@"\n}\n'
    made = _settings(_taken([BOX, *DIRECT, *AZURE], shells=shells))
    routed = made.lanes["routed"]
    assert routed.models["main"] == "foundry-claude-sonnet-4-6"
    assert routed.models["haiku"] == "local"
    assert _billed(made, "routed").startswith("the Azure subscription")
    at_the_other = _settings(_taken([BOX, *DIRECT, *AZURE]))
    assert _billed(at_the_other, "routed").startswith("the Claude API")


def test_what_has_no_place_here_is_told() -> None:
    others = [
        ("gpt", "openai/gpt-5", "", "os.environ/OPENAI"),
        ("second", "lm_studio/other", "http://192.168.1.21:1234/v1", ""),
        ("odd", "azure_ai/without-a-family", FOUNDRY, "os.environ/AZ"),
        ("elsewhere", "anthropic/claude-sonnet-4-5", "https://gateway.example.org", "os.environ/KEY"),
    ]
    told = _taken([BOX, *DIRECT, *others]).told
    for name, *_ in others:
        assert any(line.startswith(f"not taken over: {name} ") for line in told), told


def test_mistral_comes_along() -> None:
    model = ("mistral", "mistral/mistral-medium-latest", "", "os.environ/MORE")
    beside = _taken([BOX, *DIRECT, model])
    assert _settings(beside).clouds["mistral"].models["mistral"].context_length == 131072
    assert beside.secrets["MISTRAL_API_KEY"].reveal() == "kept-by-the-person"
    alone = _settings(_taken([BOX, model]))
    assert alone.lanes["routed"].models["main"] == "mistral"
    assert _billed(alone, "cloud") == "the account of MISTRAL_API_KEY"


def test_keys_get_the_names_of_settings_and_the_gateways_own_stays_behind() -> None:
    kept = _taken([*DIRECT, *AZURE]).secrets
    assert {name: value.reveal() for name, value in kept.items()} == {
        "ANTHROPIC_DIRECT_KEY": "sk-ant-0000000000000000",
        "FOUNDRY_API_KEY": "azure-00000000000000",
        "MORE": "kept-by-the-person",
    }


def test_a_key_that_stands_in_the_configuration_is_taken_and_never_told() -> None:
    literal = ("claude-sonnet", "anthropic/claude-sonnet-4-6", "", "sk-ant-in-the-configuration")
    taken = _taken([literal, ("gpt", "openai/gpt-5", "", "sk-not-ours-0000000")], file="")
    assert {name: value.reveal() for name, value in taken.secrets.items()} == {
        "ANTHROPIC_DIRECT_KEY": "sk-ant-in-the-configuration"
    }
    assert any("keys stand in LiteLLM's config.yaml" in line for line in taken.told)
    assert "sk-" not in repr(taken)


def test_the_address_may_stand_in_the_file_of_keys() -> None:
    entry = ("claude-sonnet", "anthropic/claude-sonnet-4-6", "os.environ/BASE", "os.environ/KEY")
    assert _taken([entry], file=f"{FILE}BASE=https://api.example.org\n").wishes.urls == {
        "anthropic": "https://api.example.org"
    }
    with pytest.raises(existing_host.ByHandError, match=r"entry 1: api_base is os\.environ/BASE"):
        _taken([entry])


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("model_list: [{model_name: a, litellm_params: text}]", "entry 1 has no litellm_params"),
        ("model_list: [text]", "entry 1 has no litellm_params"),
        ("model_list: [{model_name: a, litellm_params: {model: 5}}]", "entry 1 has no litellm_params"),
        ("model_list: []\nrouter_settings: [a]", "router_settings.fallbacks is not a list"),
        ("model_list: []\nrouter_settings: {fallbacks: [local]}", "router_settings.fallbacks is not a list"),
        ("model_list: []\nlitellm_settings: {fallbacks: {local: x}}", "litellm_settings.fallbacks is not a list"),
        ("model_list: []\nlitellm_settings: {fallbacks: [{local: x}]}", "litellm_settings.fallbacks is not a list"),
        ("model_list: text", "no model_list"),
        ("- a", "no model_list"),
        ("a: [", "no YAML"),
    ],
)
def test_an_odd_configuration_is_told(config: str, why: str) -> None:
    with pytest.raises(existing_host.ByHandError, match=why):
        existing_host.understood({"config": config, "secrets": ""}, "claude")


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def _socket(local: str, uid: int, inode: int, state: str = "0A") -> str:
    return f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5d} 0 {inode} 1 0 100\n"


def test_a_listener_of_the_agents_is_no_sshd_whatever_it_calls_itself() -> None:
    """Its own /usr/sbin/sshd neither, at a port of sshd's or another."""
    taken = _taken(
        [BOX, *DIRECT],
        uid="1000\n",
        sockets=HEAD + _socket("00000000:0016", 0, 1) + _socket("00000000:08AE", 1000, 2),
        sshd="socket:[1]\nsocket:[2]\n",
    )
    made = _settings(taken)
    assert made.firewall.ssh_ports == [22]
    assert made.firewall.open == {"tcp/2222": ["lan"]}
    assert "claude itself listens on 2222" in taken.told[0]


@pytest.mark.parametrize(("answered", "source"), [({}, "docker"), ({"replaces": ["docker-ce"]}, "debian")])
def test_dockers_own_packages_stay_unless_they_were_given_up(answered: dict[str, Any], source: str) -> None:
    found = existing_host.understood({"config": _config([BOX, *DIRECT]), "secrets": FILE, "engine": "docker"}, "claude")
    made = _settings(adopted_settings.taken(found, replace(REACHED, beside=answered), LOCAL))
    assert (made.rootless_docker.source, made.replaces) == (source, answered.get("replaces", []))


def test_what_else_the_machine_does_goes_on() -> None:
    taken = _taken(
        [BOX, *DIRECT],
        groups="claude sudo",
        program="/home/claude/.local/share/mise/installs/node/22/bin/claude\n",
        ports='{"4000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4100"}]}',
        claude='{"effortLevel": "medium"}',
        daemon='{"registry-mirrors": ["https://mirror.example.org/"], "data-root": "/srv"}',
        uid="1000\n",
        sockets=HEAD
        + _socket("00000000:08AE", 0, 11)
        + _socket("0" * 32 + ":0016", 0, 12)  # ssh.socket
        + _socket("0" * 32 + ":1F90", 1000, 13)
        + _socket("0100007F:1004", 1001, 14)
        + _socket("3500007F:0035", 991, 15)
        + _socket("00000000000000000000000001000000:0277", 0, 16)
        + _socket("0000000000000000FFFF00000100007F:0278", 0, 17)
        + _socket("00000000:0279", 0, 18, state="01"),  # no listener
        sshd="socket:[10]\nsocket:[11]\n",
        activated="[::]:22 (Stream)\n",
    )
    made = _settings(taken)
    assert made.gateway.port == 4100
    assert made.lanes["routed"].effort == "medium"
    assert made.rootless_docker.registry_mirrors == ["https://mirror.example.org"]
    assert made.rootless_docker.daemon == {"data-root": "/srv"}
    assert made.firewall.open == {"tcp/8080": ["lan"]}
    assert made.firewall.ssh_ports == [22, 2222]
    for word in (
        "data-root",
        "8080",
        "claude itself listens on 8080",
        "sshd listens on 22, 2222",
        "group sudo",
        "npm un",
    ):
        assert any(word in line for line in taken.told), word
    of_the_native_installer = _taken([BOX, *DIRECT], program="/home/claude/.local/bin/claude\n")
    assert of_the_native_installer.told == []  # the link that takes its place keeps it


def test_launchers_are_read_with_what_they_set() -> None:
    shells = (
        "claude-routed() {\n  ANTHROPIC_MODEL='claude-opus' claude\n}\nexport ANTHROPIC_MODEL=mine\n"
        "alias claude-fast='ANTHROPIC_MODEL=local claude'\nclaude-routed() {\n}\n"
    )
    found = existing_host.understood({"config": "model_list: []", "secrets": "", "shells": shells}, "claude")
    assert list(found.functions) == ["claude-routed", "claude-fast"]
    assert found.functions["claude-fast"] == {"ANTHROPIC_MODEL": "local"}
