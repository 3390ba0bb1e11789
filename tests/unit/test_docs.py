"""The documentation says what the code does."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from signalbox import backends
from signalbox.backends import records
from signalbox.commands.pin import NAMES, pin
from signalbox.settings import record_defaults
from signalbox.settings.layers import DEFAULTS, defaults
from signalbox.settings.manual import Setting, manual, settings
from signalbox.settings.record_defaults import RECORDS
from signalbox.settings.secret_source import SOURCES
from signalbox.settings.sections import KINDS, SECTION_NAMES

SOURCE = DEFAULTS.read_text(encoding="utf-8")
PAGE = DEFAULTS.parents[1] / "docs" / "settings.md"


def test_page_is_made_from_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == manual(SOURCE), (
        "run: python -m signalbox.settings.manual > docs/settings.md"
    )


def test_every_section_is_a_setting_and_the_other_way_round() -> None:
    ours = {name for name in defaults() if not name.startswith("ssh_")}
    assert ours == {*SECTION_NAMES, "defaults"}


@pytest.mark.parametrize(
    "name", [name for name in KINDS if name not in RECORDS and name not in ("extra_ca_certificates", "replaces")]
)
def test_every_key_has_a_default_and_no_default_lacks_a_key(name: str) -> None:
    assert _keys_of(defaults()[name]) == _fields_of(KINDS[name])


@pytest.mark.parametrize("name", list(record_defaults._DEFAULTS))
def test_every_key_of_a_record_has_a_default(name: str) -> None:
    assert set(defaults()["defaults"][name]) == set(record_defaults._DEFAULTS[name].model_fields) - {"name"}


def test_every_setting_is_explained() -> None:
    lines = [each for each in settings(SOURCE) if isinstance(each, Setting)]
    records = ("backends.", "clouds.", "lanes.")  # explained at their defaults
    silent = [
        each.path
        for each in lines
        if not each.meaning and not each.path.startswith(records) and not each.path.endswith("enabled")
    ]
    assert silent == []


def test_kinds_are_those_that_can_be_served() -> None:
    def choices(kind: Any) -> set[str]:
        return {choice for part in get_args(kind) for choice in get_args(part)}

    assert choices(records.Backend.model_fields["kind"].annotation) == set(backends.BACKENDS)
    assert choices(records.Cloud.model_fields["kind"].annotation) == set(backends.CLOUDS)


def test_choices_are_named_where_they_are_explained() -> None:
    kinds = {**backends.BACKENDS, **backends.CLOUDS}
    meanings = {each.path: each.meaning for each in settings(SOURCE) if isinstance(each, Setting)}
    said = f"{meanings['defaults.backend.kind']} {meanings['defaults.cloud.kind']}"
    assert set(re.findall(r"\w+_?\w+", said)) - {"or"} == set(kinds)
    for source in SOURCES:
        assert source in meanings["secrets.source"]


def test_pin_knows_every_pin() -> None:
    assert set(NAMES) == set(defaults()["pins"])
    assert pin.help is not None


def _keys_of(data: dict[str, Any], at: str = "") -> set[str]:
    keys: set[str] = set()
    for key, value in data.items():
        keys |= {f"{at}{key}"} | (
            _keys_of(value, f"{at}{key}.")
            if isinstance(value, dict) and key != "sysctl" and not key.endswith("fallbacks")
            else set()
        )
    return keys


def _fields_of(model: type[BaseModel], at: str = "") -> set[str]:
    keys: set[str] = set()
    for key, field in model.model_fields.items():
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        keys |= {f"{at}{key}"} | (_fields_of(inner, f"{at}{key}.") if nested else set())  # type: ignore[arg-type]
    return keys
