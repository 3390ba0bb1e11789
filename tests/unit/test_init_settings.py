"""Whatever is answered to `signalbox init`, the settings that come of it are ones that a deploy takes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.backends import BACKENDS
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets, lane_secrets
from signalbox.init import files, project
from signalbox.init.clouds import CHOICES
from signalbox.init.to_settings import Local, Wishes, group_settings, host_settings, needed_secrets
from signalbox.settings import Settings, SettingsError
from signalbox.settings.layers import defaults, merge
from tests.good_settings import GOOD

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5ISlkjkJHYBTRYXD8iXe0J3rV2LG6Xw3vQyBGH4nOS"
CASES = [each for each in itertools.product(CHOICES, (None, *BACKENDS), (False, True)) if each[:2] != ("none", None)]


def wishes(cloud: str, kind: str | None, token: bool) -> Wishes:
    return Wishes(
        address="192.168.1.10",
        port=2222,
        user="admin",
        key="~/.ssh/id_ed25519",
        host_key=KEY,
        sudo="password",
        logins=(KEY,),
        local=Local(kind, "http://192.168.1.20:1234", "some/model", 65536, token) if kind else None,
        cloud=cloud,
        details={"foundry": {"resource": "myfoundry", **dict.fromkeys(("sonnet", "opus", "haiku"), "a-deployment")}},
    )


def settings(wished: Wishes) -> Settings:
    shipped = merge(defaults(), {"pins": GOOD["pins"]})
    layers = [("all", shipped), ("group", group_settings(wished)), ("host", host_settings(wished))]
    return Settings.from_layers(layers, host=wished.address)


@pytest.mark.parametrize(("cloud", "kind", "token"), CASES)
def test_every_combination_is_valid_and_its_secrets_are_those_that_are_asked_for(
    cloud: str, kind: str | None, token: bool
) -> None:
    wished = wishes(cloud, kind, token)
    made = settings(wished)
    needed = {*gateway_secrets(made, routing_table(made)), *lane_secrets(made), "ADMIN_SUDO"}
    assert needed == set(needed_secrets(wished))
    lanes = {name for name, lane in made.lanes.items() if lane.enabled}
    assert ("routed" in lanes) == (cloud != "none")
    assert ("local" in lanes) == (kind is not None)
    if kind:
        assert made.backends[Local(kind, "", "", 0).name].models["local"].context_length == 65536


def test_a_placeholder_would_be_noticed() -> None:
    with pytest.raises(SettingsError, match="LMSTUDIO_IP"):
        Settings.from_layers([("all", merge(defaults(), {"pins": GOOD["pins"]}))], host="192.168.1.10")


def written(wished: Wishes, root: Path) -> project.Draft:
    """Write what comes of wishes, as `signalbox init` does, and return it."""
    draft = project.drafted(root, wished)
    files.write(files.changes(root, draft.wanted))
    return draft


MIRRORED = {"mirrors": {"npm": "https://npm.example.org"}, "extra_ca_certificates": ["/ca.pem"]}
RUNS = [wishes(*each) for each in CASES if not each[2]]
RUNS += [
    replace(RUNS[0], network=MIRRORED, urls={"anthropic": "https://api.example.org"}),
    replace(RUNS[1], sudo="root", user="root", port=22, name="agent"),
    wishes("foundry", "lm_studio", True),
]


FRESH = [project.draft({}, {}, each).wanted for each in RUNS]


@pytest.mark.parametrize("first", RUNS, ids=lambda each: f"{each.cloud}-{each.local and each.local.kind}")
def test_a_second_run_writes_what_it_would_have_written_alone(first: Wishes) -> None:
    once = project.draft({}, {}, first).wanted
    inventory, group = once[files.INVENTORY], once[files.group_data("claude_hosts")]
    for second, fresh in zip(RUNS, FRESH, strict=True):
        assert project.draft(inventory, group, second).wanted == fresh, f"{first.cloud}, then {second.cloud}"


def test_what_a_person_has_written_beside_the_answers_stays(tmp_path: Path) -> None:
    written(wishes("foundry", "ollama", False), tmp_path)
    place = tmp_path / "group_data" / "claude_hosts.py"
    own: dict[str, Any] = {
        "gateway": {"port": 4001, "retries": 1},
        "backends": {"vllm": {"kind": "vllm", "url": "http://192.168.1.30:8000", "models": {"big": {"id": "big"}}}},
        "lanes": {"routed": {"effort": "low"}, "mine": {"models": {"main": "big"}}},
        "mirrors": {"docker": "https://docker.example.org"},
    }
    (change,) = files.changes(tmp_path, {Path("group_data/claude_hosts.py"): merge(files.literals(place), own)})
    files.write([change])
    written(wishes("anthropic", None, False), tmp_path)
    found = files.literals(place)
    for section, settings_there in own.items():
        assert merge(found[section], settings_there) == found[section], section
    assert "ollama" not in found["backends"]
    assert "clouds" not in found


def test_a_host_of_a_group_does_not_change_another_unseen(tmp_path: Path) -> None:
    first = wishes("foundry", "ollama", False)
    written(first, tmp_path)
    alike = replace(first, address="192.168.1.11", port=22, logins=(), sudo="root", user="root")
    assert written(alike, tmp_path).others == ()
    other = replace(wishes("anthropic", "ollama", False), address="192.168.1.12")
    assert project.drafted(tmp_path, other).others == ("192.168.1.10", "192.168.1.11")
    apart = replace(other, group="another")
    assert written(apart, tmp_path).others == ()
    assert project.group_of(tmp_path, "192.168.1.12", None) == "another"
    assert project.group_of(tmp_path, "192.168.1.13", None) == "claude_hosts"
    with pytest.raises(files.FileError, match="is in another"):
        project.group_of(tmp_path, "192.168.1.12", "claude_hosts")
