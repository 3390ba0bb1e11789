"""Layers, merging, precedence, and what settings are to tasks."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pyinfra.api import Inventory

from signalbox.settings import Account, Settings, SettingsError, settings_for, validate_run
from signalbox.settings.layers import DEFAULTS, defaults, expanded, layers_of, merge, merged, origin
from tests.good_settings import GOOD, KEY, layers

run_settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
run_settings.load_profile("any machine")

keys = st.sampled_from("abcd")
leaves = st.none() | st.integers() | st.lists(st.integers(), max_size=2) | st.text(max_size=2)
trees = st.recursive(st.dictionaries(keys, leaves, max_size=4), lambda inner: st.dictionaries(keys, inner | leaves))


def paths(tree: Any, at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of a tree by path; an empty dict is a leaf."""
    if not isinstance(tree, dict) or not tree:
        return {at: tree}
    return {path: leaf for key, value in tree.items() for path, leaf in paths(value, (*at, key)).items()}


# ---- merging ----


@given(trees)
def test_merging_with_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == merge({}, tree) == merge(tree, tree) == tree


@given(trees, trees)
def test_every_value_of_the_higher_layer_is_there(low: dict[str, Any], high: dict[str, Any]) -> None:
    result = paths(merge(low, high))
    for path, leaf in paths(high).items():
        if leaf != {}:
            assert result[path] == leaf


@given(trees, trees)
def test_nothing_comes_from_nowhere(low: dict[str, Any], high: dict[str, Any]) -> None:
    for path, leaf in paths(merge(low, high)).items():
        assert leaf in [tree[path] for tree in (paths(low), paths(high)) if path in tree] or leaf == {}


@given(trees, trees)
def test_what_the_higher_layer_does_not_name_stays(low: dict[str, Any], high: dict[str, Any]) -> None:
    result, above = paths(merge(low, high)), paths(high)
    for path, leaf in paths(low).items():
        if not any(path[: len(each)] == each or each[: len(path)] == path for each in above if each):
            assert result.get(path, leaf) == leaf


@given(trees, trees)
def test_merging_leaves_its_arguments_alone(low: dict[str, Any], high: dict[str, Any]) -> None:
    before = copy.deepcopy((low, high))
    result = merge(low, high)
    _spoil(result)
    assert (low, high) == before


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        value.append("spoilt")


@given(trees, trees)
def test_the_origin_is_a_layer_that_has_the_value(low: dict[str, Any], high: dict[str, Any]) -> None:
    both = [("low", low), ("high", high)]
    for path, leaf in paths(merged(both)).items():
        if path and leaf != {}:
            assert paths(dict(both)[origin(both, path)]).get(path) == leaf


@given(trees)
def test_dotted_keys_are_sections(tree: dict[str, Any]) -> None:
    flat = {".".join(path): leaf for path, leaf in paths(tree).items() if path}
    assert expanded(flat) == tree


# ---- layers of an inventory ----


def inventory(**layer: dict[str, Any]) -> Inventory:
    boxes = [("box1", layer.get("host", {})), ("box2", {})]
    return Inventory(
        (boxes, layer.get("everyone", {})),
        override_data=layer.get("data", {}),
        first=([("box1")], layer.get("first", {})),
        second=([("box1")], layer.get("second", {})),
        others=([("box2")], layer.get("others", {})),
    )


LAYERS = ("everyone", "first", "second", "host", "data")


@pytest.mark.parametrize("count", range(1, len(LAYERS) + 1))
def test_precedence(count: int) -> None:
    """With each further layer the port is that layer's; a neighbouring value of the first one stays."""
    data = {name: {"gateway": {"port": 5000 + index}} for index, name in enumerate(LAYERS[:count])}
    data["everyone"]["gateway"]["cooldown_seconds"] = 7
    values = merged(layers_of(inventory(**data), "box1"))
    assert values["gateway"]["port"] == 5000 + count - 1
    assert values["gateway"]["cooldown_seconds"] == 7
    assert values["gateway"]["retries"] == defaults()["gateway"]["retries"]
    assert values["preflight"] == defaults()["preflight"]


def test_pyinfras_own_data_would_have_lost_the_neighbour() -> None:
    """Why layers are merged here: host.data gives the first layer that has a key, whole."""
    both = inventory(everyone={"gateway": {"port": 5000, "retries": 1}}, host={"gateway": {"port": 5001}})
    assert both.get_host("box1").data.gateway == {"port": 5001}
    assert merged(layers_of(both, "box1"))["gateway"]["retries"] == 1


def test_another_groups_settings_are_not_ours() -> None:
    values = merged(layers_of(inventory(others={"gateway": {"port": 5009}}), "box1"))
    assert values["gateway"]["port"] == defaults()["gateway"]["port"]


def test_command_line_takes_dotted_keys() -> None:
    data = {"gateway.port": 5001, "base": {"timezone": "Etc/UTC"}}
    values = merged(layers_of(inventory(data=data), "box1"))
    assert (values["gateway"]["port"], values["base"]["timezone"]) == (5001, "Etc/UTC")
    assert values["gateway"]["retries"] == defaults()["gateway"]["retries"]


def test_an_inventory_directory_of_its_own(tmp_path: Path) -> None:
    """Read as pyinfra reads it; its group_data/all.py does not repeat the shipped one."""
    (tmp_path / "group_data").mkdir()
    (tmp_path / "hosts.py").write_text("fast = ['@fake/a']\nslow = [('@fake/b', {'gateway': {'retries': 2}})]\n")
    (tmp_path / "group_data" / "all.py").write_text("gateway = {'port': 5000}\n")
    (tmp_path / "group_data" / "slow.py").write_text("gateway = {'stream_timeout_seconds': 300}\n")
    command = [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "settings"]
    done = subprocess.run(
        [*command, "--inventory", "hosts.py", "--host", "@fake/b", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DEFAULTS.parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1  # the rest is still to be filled in
    assert {each["setting"]: (each["value"], each["from"]) for each in json.loads(done.stdout)} == {
        "gateway.port": (5000, "all"),
        "gateway.stream_timeout_seconds": (300, "group slow"),
        "gateway.retries": (2, "host"),
    }


# ---- a run ----


def test_all_hosts_are_validated_by_the_first_question() -> None:
    both = inventory(everyone=GOOD, others={"gateway": {"prot": 1}})
    with pytest.raises(SettingsError) as caught:
        settings_for(both.get_host("box1"))
    assert caught.value.lines == ['box2: gateway.prot: unknown setting; did you mean "port"? (from group others)']


def test_validated_settings_are_kept() -> None:
    good = inventory(everyone=GOOD)
    settings = settings_for(good.get_host("box1"))
    assert settings_for(good.get_host("box1")) is settings
    assert settings_for(good.get_host("box2")).host == "box2"
    assert settings_for(inventory(everyone=GOOD).get_host("box1")) is not settings


def test_only_selected_hosts_are_validated() -> None:
    both = inventory(everyone=GOOD, others={"gateway": {"prot": 1}})
    validate_run(both, [both.get_host("box1")])
    with pytest.raises(SettingsError):
        validate_run(both, [both.get_host("box2")])


def test_hosts_that_share_a_mistake_share_a_line() -> None:
    names = [f"box{number}" for number in range(1, 6)]
    many = Inventory((names, merge(GOOD, {"gateway": {"port": 80}})))
    with pytest.raises(SettingsError) as caught:
        validate_run(many, many)
    assert caught.value.lines == [
        "box1, box2, box3 and 2 more: gateway.port: 80 is not a port that a user without root may open; "
        "write one from 1024 to 65535"
    ]


# ---- what tasks get ----


def test_accounts() -> None:
    settings = Settings.from_layers(layers({"gateway": {"user": None}}), host="box1")
    assert settings.service_account == settings.gateway_account == Account("claude", "/home/claude")
    assert settings.docker_accounts == (settings.service_account,)
    settings = Settings.from_layers(layers(), host="box1")
    assert settings.docker_accounts == (settings.service_account, settings.gateway_account)
    assert settings.gateway_account == Account("litellm", "/home/litellm")
    assert settings.gateway_account.path("~/.config") == settings.gateway_account.path(".config")
    assert settings.gateway_account.path(".config") == "/home/litellm/.config"
    assert settings.gateway_account.path("/etc") == "/etc"
    settings = Settings.from_layers(layers({"rootless_docker": {"service_user": False}}), host="box1")
    assert settings.docker_accounts == (settings.gateway_account,)


def test_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_layers(layers(), host="box1").privileges() == {}
    admin = {"ssh_user": "admin", "connection": {"sudo": True}}
    assert Settings.from_layers(layers(admin), host="box1").privileges() == {"_sudo": True}
    monkeypatch.setenv("ADMIN_PASSWORD__BOX1", "hunter2")
    settings = Settings.from_layers(layers(admin, {"connection": {"sudo_password": "ADMIN_PASSWORD"}}), host="box1")
    assert settings.privileges() == {"_sudo": True, "_sudo_password": "hunter2"}
    assert "hunter2" not in repr(settings)


def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_layers(layers(), host="box1")
    with pytest.raises(ValidationError):
        settings.gateway.port = 1  # type: ignore[misc]


def test_key_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "id_ed25519.pub"
    file.write_text(f"# mine\n{KEY}\n\n")
    settings = Settings.from_layers(layers({"service_user": {"authorized_keys": [str(file), KEY]}}), host="box1")
    assert settings.service_user.authorized_keys == [KEY]


def test_a_private_key_file_is_refused_unseen(tmp_path: Path) -> None:
    file = tmp_path / "id_ed25519.pub"
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(SettingsError) as caught:
        Settings.from_layers(layers({"service_user": {"authorized_keys": [str(file)]}}), host="box1")
    assert f'"{file}" holds a private key; write "{file}.pub"' in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_files_need_not_exist_where_nobody_logs_in() -> None:
    off: dict[str, Any] = {"service_user": {"enabled": False, "authorized_keys": ["~/.ssh/nobody.pub"]}}
    Settings.from_layers(layers(off), host="box1")
    off["service_user"]["authorized_keys"] = ["-----BEGIN OPENSSH PRIVATE KEY-----"]
    with pytest.raises(SettingsError):
        Settings.from_layers(layers(off), host="box1")


def test_placeholders_may_stay_in_what_is_switched_off() -> None:
    off = {"clouds": {"foundry": {"enabled": False, "resource": "<FOUNDRY_RESOURCE>"}}}
    assert not Settings.from_layers(layers(off), host="box1").clouds["foundry"].enabled


def test_what_is_switched_off_is_still_checked_for_types() -> None:
    off = {"clouds": {"foundry": {"enabled": False, "models": []}}}
    with pytest.raises(SettingsError) as caught:
        Settings.from_layers(layers(off), host="box1")
    assert caught.value.lines == ["box1: clouds.foundry.models: [] is a list; write a dict {…}"]


@pytest.mark.parametrize(
    "data",
    [
        {"backends": {"lmstudio": {"url": "https://llm.example.com/lmstudio"}}},
        {"backends": {"lmstudio": {"url": "http://[::1]:1234"}}, "rootless_docker": {"host_loopback": True}},
        {"gateway": {"web_search": {"kind": "searxng", "url": "http://192.168.1.30:8080"}}},
        {"backends": {"lmstudio": {"url": "http://localhost:1234"}}, "rootless_docker": {"host_loopback": True}},
        {"backends": {"lmstudio": {"token": "LMSTUDIO_TOKEN"}}},
        {"clouds": {"anthropic": {"url": "http://198.18.0.1:8001"}}},
        {
            "clouds": {
                "foundry": {
                    "enabled": True,
                    "resource": "myfoundry",
                    "models": {"foundry-claude-opus-4-8": {"id": "d"}},
                }
            }
        },
        {"lanes": {"local": {"via": "direct", "credential": "none", "private": True}}},
        {"lanes": {"plain": {"via": "first-party", "credential": "none", "config_dir": "~/.claude", "billed": "Pro"}}},
        {"service_user": {"sudo": "password", "password": "CLAUDE_PASSWORD"}},
        {"toolchain": {"enabled": False}, "pins": {"mise": {"sha256": {"amd64": None}}}},
        {"mirrors": {"litellm": "198.18.0.1:5443/berriai/litellm", "npm": "https://npm.example.com/a/b"}},
        {"ssh_port": 2222, "ssh_key": "~/.ssh/id_ed25519", "_env": {"A": "b"}, "fake_delay": 0},
        {"launchers": {"flags": ["--verbose", "--model", "opus"]}},
    ],
)
def test_possible_settings(data: dict[str, Any]) -> None:
    Settings.from_layers(layers(data), host="box1")


# ---- whatever is written, the answer is a message ----

MARK = "sk-ant-api03-marked-value-7f3a"
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=2),
)
# Paths of settings, and below each a name that is none.
places = st.sampled_from(
    sorted({path[:length] for path in paths(merged(layers())) for length in range(1, len(path) + 1)})
).flatmap(lambda path: st.sampled_from([path, (*path, "other"), (*path[:-1], "other")]))


def put(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    return value  # type: ignore[no-any-return]


@given(places, anything)
@run_settings(max_examples=200)
def test_any_value_anywhere_is_taken_or_refused(path: tuple[str, ...], value: Any) -> None:
    lines: list[str] = []
    try:
        Settings.from_layers(layers(put(path, value)), host="box1")
    except SettingsError as error:
        lines = error.lines
    assert not [line for line in lines if "\n" in line]


@given(places)
@run_settings(max_examples=300)
def test_a_secret_anywhere_is_refused_and_never_shown(path: tuple[str, ...]) -> None:
    for value in (MARK, [MARK], {"key": MARK}, {MARK: 1}):
        with pytest.raises(SettingsError) as caught:
            Settings.from_layers(layers(put(path, value)), host="box1")
        assert MARK not in str(caught.value)


def test_a_password_that_was_typed_is_not_a_setting() -> None:
    """--ssh-password-prompt; pyinfra keeps it with the data of its command line."""
    typed = inventory(everyone=GOOD, data={"ssh_password": "hunter2"})
    assert "ssh_password" not in merged(layers_of(typed, "box1"))
    validate_run(typed, typed)
    written = inventory(everyone=GOOD, host={"ssh_password": "hunter2"})
    with pytest.raises(SettingsError):
        validate_run(written, written)
