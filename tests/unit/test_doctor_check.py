"""Which checks of the doctor are made, and when."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalbox.host.doctor import check as checks
from signalbox.host.doctor.check import Finding, check, look
from signalbox.host.doctor.host_context import AGENT, Here


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two checks of a server in place of the doctor's own; the list tells which of them looked."""
    monkeypatch.setattr(checks, "CHECKS", {})
    looked: list[str] = []

    @check(AGENT)
    def server(here: Here) -> Iterator[Finding]:
        """It has its model"""
        looked.append("server")
        if here.expected["broken"]:
            yield Finding("model-not-loaded", "no model", subjects=here.expected["broken"])

    @check(AGENT, needs=("server",), heavy=True)
    def model(here: Here) -> Iterator[Finding]:
        """It answers"""
        looked.append(" not ".join(["model", *here.unwell]))
        yield from ()

    return looked


@pytest.mark.parametrize(
    ("broken", "quick", "expected"),
    [
        (None, False, ["server", "model"]),
        (("box",), False, ["server", "model not box"]),
        (None, True, ["server"]),
    ],
)
def test_no_answer_is_asked_of_a_server_that_is_not_well(
    asked: list[str], broken: tuple[str, ...] | None, quick: bool, expected: list[str]
) -> None:
    outcomes = look(Here({"broken": broken}, frozenset({AGENT}), quick=quick))
    assert asked == expected
    assert [each.check for each in outcomes] == [each.partition(" ")[0] for each in expected]


def test_no_answer_is_asked_where_nobody_knows_which_server_is_not_well(
    asked: list[str],
) -> None:
    @check(AGENT)
    def server(_: Here) -> Iterator[Finding]:
        """It is there"""
        yield Finding("gateway-silent", "no")

    look(Here({"broken": None}, frozenset({AGENT})))
    assert asked == []
