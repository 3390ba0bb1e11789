"""A model server is judged by what the gateway's container reaches, and not by what the host does."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.desired import symptoms
from signalbox.host.doctor import check_servers
from signalbox.host.doctor.host_context import AGENT, Answer, Here
from signalbox.host.doctor.symptoms import explain
from signalbox.host.shared.reasons import WHY

URL = "http://box.lan:8080"
SERVER = {
    "kind": "llama_cpp",
    "probe": f"{URL}/health",
    "token": False,
    "key": None,
    "listing": {"url": f"{URL}/v1/models", "models": "data", "name": "id"},
    "models": {"local": {"id": "m", "reading": None}},
}
THERE = Answer(200, '{"data": [{"id": "m"}]}', {})
GONE = Answer(0, "[Errno 111] Connection refused", {})


def found(
    monkeypatch: pytest.MonkeyPatch, host: Answer, *gateway: str, direct: bool = False
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return what the check finds. gateway: what it tells, each time that it is asked."""
    told = iter(gateway)
    monkeypatch.setattr(
        check_servers, "ask", lambda url, *_, **__: Answer(200, next(told), {}) if url.startswith("http://g") else host
    )
    monkeypatch.setattr(check_servers.time, "sleep", lambda _: None)
    lanes = {"private": {"via": "direct", "goes_to": URL}} if direct else {}
    gate = {"enabled": True, "url": "http://g", "looks_every": 5}
    expected: dict[str, Any] = {"backends": {"box": SERVER}, "gateway": gate, "lanes": {"lanes": lanes}}
    here = Here(expected, frozenset({AGENT}))
    return [(each.symptom, each.seen, each.subjects) for each in check_servers.backends(here)]


@pytest.mark.parametrize("word", WHY)
def test_what_the_host_reaches_and_the_gateway_does_not_is_told(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    told = f'{{"box": "{word}"}}'
    ((symptom, seen, subjects),) = found(monkeypatch, THERE, told, told)
    assert subjects == ("box",)  # so no model is asked of it
    assert "the gateway's container does not" in seen
    assert symptom == {"certificate": "tls"}.get(
        word, word if "-" in word and "http" not in word else "backend-from-container"
    )
    assert explain(WHY[word], symptoms.known())[0].id == symptom


def test_what_has_come_meanwhile_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, THERE, '{"box": "timeout"}', '{"box": 200}') == []


@pytest.mark.parametrize("told", ['{"box": 401}', '{"box": null}', "{}", "no JSON", "[]", '{"box": "what else"}'])
def test_what_both_reach_is_well_and_a_gateway_that_tells_nothing_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    assert found(monkeypatch, THERE, told, told) == []


def test_what_the_gateway_reaches_need_not_be_reached_by_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, GONE, '{"box": 200}') == []
    ((symptom, *_),) = found(monkeypatch, GONE, '{"box": 200}', direct=True)
    assert symptom == "backend-off"
    ((symptom, *_),) = found(monkeypatch, GONE, '{"box": "refused"}', '{"box": "refused"}')
    assert symptom == "backend-off"


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (Answer(400, '{"error": "No query"}', {}), None),
        (Answer(403, "Forbidden", {}), "it answers 403"),  # no json among its formats
        (Answer(429, "Too Many Requests", {}), "it answers 429"),  # its limiter
        (Answer(200, "<html>", {}), "it answers 200"),  # something else
        (GONE, "Connection refused"),
    ],
)
def test_a_search_that_gives_programs_no_json_is_told(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, seen: str | None
) -> None:
    monkeypatch.setattr(check_servers, "ask", lambda *_: answer)
    here = Here({"web_search": "http://search.lan:8080"}, frozenset({AGENT}))
    told = [(each.symptom, each.seen) for each in check_servers.web_search(here)]
    assert [symptom for symptom, _ in told] == (["web-search-off"] if seen else [])
    assert not seen or seen in told[0][1]
    assert not list(check_servers.web_search(Here({"web_search": None}, frozenset({AGENT}))))


@pytest.mark.parametrize(
    ("said", "symptom"),
    [
        ("unable to get local issuer certificate", "tls"),
        ("self-signed certificate", "tls"),
        ("certificate has expired", "certificate-expired"),
        ("certificate is not yet valid", "certificate-expired"),
        ("Hostname mismatch, certificate is not valid for 'box.lan'.", "certificate-name"),
        ("IP address mismatch, certificate is not valid for '10.0.0.1'.", "certificate-name"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(monkeypatch: pytest.MonkeyPatch, said: str, symptom: str) -> None:
    """Naming a CA helps against none of the last four."""
    text = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said} (_ssl.c:1032)"
    ((found_symptom, *_),) = found(monkeypatch, Answer(0, text, {}), "{}")
    assert found_symptom == symptom
    assert explain(text, symptoms.known())[0].id == ("clock" if "not yet" in said else symptom)
