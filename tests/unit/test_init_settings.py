"""Whatever is answered to `signalbox init`, the settings that come of it are ones that a deploy takes."""

from __future__ import annotations

import itertools

import pytest

from signalbox.backends import BACKENDS
from signalbox.init.about_clouds import CLAUDES
from signalbox.init.wishes import CLOUDS, Local, Wishes, group_settings, host_settings, needed_secrets
from signalbox.lanes import lane_secrets
from signalbox.routes import required_secrets
from signalbox.settings import Settings, SettingsError
from signalbox.settings.layers import defaults, merge
from tests.good_settings import GOOD

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5ISlkjkJHYBTRYXD8iXe0J3rV2LG6Xw3vQyBGH4nOS"
CASES = [each for each in itertools.product(CLOUDS, (None, *BACKENDS), (False, True)) if each[:2] != ("none", None)]


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
        resource="myfoundry",
        deployments=dict.fromkeys(CLAUDES, "a-deployment"),
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
    needed = {*required_secrets(made), *lane_secrets(made), "ADMIN_SUDO"}
    assert needed == set(needed_secrets(wished))
    lanes = {name for name, lane in made.lanes.items() if lane.enabled}
    assert ("routed" in lanes) == (cloud != "none")
    assert ("local" in lanes) == (kind is not None)
    if kind:
        assert made.backends[Local(kind, "", "", 0).name].models["local"].context_length == 65536


def test_a_placeholder_would_be_noticed() -> None:
    with pytest.raises(SettingsError, match="LMSTUDIO_IP"):
        Settings.from_layers([("all", merge(defaults(), {"pins": GOOD["pins"]}))], host="192.168.1.10")
