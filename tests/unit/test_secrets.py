"""Secrets are found where they belong, and never show themselves."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import Any, get_args

import pytest

from signalbox.secrets import Environment, Secret, SecretError, get, variable_of
from signalbox.settings.secret_source import SOURCES
from signalbox.settings.sections.secrets import Secrets

VALUE = "marked-value-7f3a"


@pytest.mark.parametrize(
    ("host", "variable"),
    [
        ("box1", "KEY__BOX1"),
        ("box-1.lan", "KEY__BOX_1_LAN"),
        ("192.168.1.10", "KEY__192_168_1_10"),
        ("@fake/box1", "KEY___FAKE_BOX1"),
        ("fd00::1", "KEY__FD00__1"),
    ],
)
def test_variable_of_a_host(host: str, variable: str) -> None:
    assert variable_of("KEY", host) == variable


def test_a_host_goes_before_all_hosts() -> None:
    source = Environment({"KEY": "all", "KEY__BOX1": "mine"})
    assert [secret.reveal() for host in ("box1", "box2") if (secret := source.find("KEY", host))] == ["mine", "all"]


def test_empty_is_not_set() -> None:
    assert Environment({"KEY": "", "KEY__BOX1": ""}).find("KEY", "box1") is None
    found = Environment({"KEY": "all", "KEY__BOX1": ""}).find("KEY", "box1")
    assert found is not None
    assert found.reveal() == "all"


def test_get_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_TEST_KEY", VALUE)
    assert get("SIGNALBOX_TEST_KEY", "box1", Environment()).reveal() == VALUE


def test_a_missing_secret_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_DIRECT_KEY", raising=False)
    with pytest.raises(SecretError) as caught:
        get("ANTHROPIC_DIRECT_KEY", "box-1.lan", Environment())
    assert str(caught.value) == (
        "box-1.lan: secret ANTHROPIC_DIRECT_KEY is not set or empty; export ANTHROPIC_DIRECT_KEY, "
        "or ANTHROPIC_DIRECT_KEY__BOX_1_LAN for this host alone"
    )


@pytest.mark.parametrize("value", [f"{VALUE}\n", f" {VALUE}", f"{VALUE}\n{VALUE}", f"{VALUE}\r"])
def test_a_damaged_secret_is_refused_unseen(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_TEST_KEY", value)
    with pytest.raises(
        SecretError, match="secret SIGNALBOX_TEST_KEY has white space around it or more than one line"
    ) as error:
        get("SIGNALBOX_TEST_KEY", "box1", Environment())
    assert VALUE not in "".join(traceback.format_exception(error.value))


def _shown() -> dict[str, Any]:
    secret = Secret(VALUE)
    return {
        "str": lambda: str(secret),
        "repr": lambda: repr(secret),
        "format": lambda: f"{secret} {secret:>40} {secret!r} {secret!s}",
        "percent": lambda: "%s %r" % (secret, secret),  # noqa: UP031 (a way that code takes)
        "in a list": lambda: str([secret]) + str({"a": secret}),
        "dir": lambda: str(dir(secret)) + str([type(secret).__slots__]),
        "log": lambda: logging.LogRecord("a", 1, "b", 1, "%s", (secret,), None).getMessage(),
    }


@pytest.mark.parametrize("way", list(_shown()))
def test_a_secret_does_not_show_itself(way: str) -> None:
    text = _shown()[way]()
    assert VALUE not in text
    assert text


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, hash])
def test_a_secret_is_not_taken_along(dump: Any) -> None:
    with pytest.raises(TypeError):
        dump(Secret(VALUE))


def test_the_search_would_have_found_it() -> None:
    assert VALUE in Secret(VALUE).reveal()


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_settings_offer_every_source() -> None:
    assert set(get_args(Secrets.model_fields["source"].annotation)) == set(SOURCES)
