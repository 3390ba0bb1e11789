"""The inventories of examples/: valid once filled in, each says what is missing before, and the list names them all."""

from __future__ import annotations

import re

import pytest

from signalbox.desired import gateway_config
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets
from signalbox.settings import Settings
from signalbox.settings.layers import defaults
from tests.examples import FILLED, FOLDER, NAMES, example
from tests.good_settings import GOOD, routed


def settings(name: str) -> Settings:
    pins = {"pins": GOOD["pins"], "service_user": GOOD["service_user"]}
    layers = [("group_data/all.py", defaults()), ("all", pins), ("group claude_hosts", example(name))]
    return Settings.from_layers(layers, host="box1")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid(name: str) -> None:
    each = settings(name)
    assert lane_records(each, routing_table(each))["lanes"]
    assert gateway_config.litellm_config(each, routing_table(each))["model_list"]


@pytest.mark.parametrize("name", NAMES)
def test_it_names_the_secrets_that_it_needs(name: str) -> None:
    said = re.search(r"Secrets: (.*)\.\n\"\"\"", (FOLDER / f"{name}.py").read_text())
    assert said is not None
    assert sorted(re.findall(r"[A-Z_]{4,}", said[1])) == gateway_secrets(*routed(settings(name)))


def test_there_are_the_eight_of_the_guides_and_all_are_listed() -> None:
    listed = re.findall(r"\]\((guide[\w-]+)\.py\)", (FOLDER / "README.md").read_text())
    assert sorted(listed) == sorted(NAMES)
    assert len(NAMES) == 8


@pytest.mark.parametrize("name", NAMES)
def test_only_known_placeholders_stand_in_it(name: str) -> None:
    found = set(re.findall(r"<[A-Z_]+>", (FOLDER / f"{name}.py").read_text()))
    assert found <= {*FILLED, "<HOST_LOCAL_IP>"}
