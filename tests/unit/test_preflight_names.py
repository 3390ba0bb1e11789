"""What the preflight says of a name that the gateway's container cannot go by."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from signalbox.tasks import preflight

FOUND = {"six.lan": ["fd00::20"], "both.lan": ["fd00::21", "192.0.2.21"], "nobody.lan": []}


def test_a_name_without_an_ipv4_address_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(preflight, "warn", said.append)
    monkeypatch.setattr(
        preflight, "host", SimpleNamespace(get_fact=lambda _, names: {each: FOUND[each] for each in names})
    )
    assert preflight._resolved({"box": "both.lan"}, tuple(FOUND)) == FOUND
    (told,) = said  # one that nobody resolves takes no connection, which is told
    assert "[ipv6-only]: six.lan has no IPv4 address here" in told
    assert preflight._resolved({"box": "six.lan"}, ()) == {"six.lan": ["fd00::20"]}  # a direct lane's alone
    assert len(said) == 1
