"""What verify sends to hosts, and how it reports what comes back."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from xml.etree import ElementTree

import pytest

from signalbox.commands.verify import junit, status
from signalbox.desired import symptoms
from signalbox.desired.health import expected
from signalbox.fleet.verify import Answer, Health, Report
from signalbox.fleet.verify import Finding as Told
from signalbox.host.doctor.check import CHECKS, Finding, Outcome, causes
from signalbox.host.shared.context import loaded
from signalbox.settings import Settings
from tests.good_settings import layers, routed

EXPECTED: dict[str, Any] = {"user": "no-such-user", "gateway": {"user": "no-such-user"}, "failover": {}}


def _answer(request: dict[str, Any]) -> Answer:
    fact = Health()
    done = subprocess.run(
        ["sh", "-c", fact.command(json.dumps(request))], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return fact.process(done.stdout.splitlines())


def test_the_program_runs_from_memory_and_tells_what_it_sees() -> None:
    answer = _answer({"do": "verify", "expected": EXPECTED, "billed": False, "quick": False, "drill_seconds": 0})
    titles = [check.title for check in answer.checks]
    assert "What the deploy placed is there and as it placed it" in titles
    assert answer.epoch > 0


def test_the_command_is_short_enough_for_one_argument() -> None:
    whole = expected(*routed(Settings.from_layers(layers(), host="box")), ["git"])
    request = json.dumps({"do": "verify", "expected": whole})
    assert len(Health().command(request)) < 96 * 1024  # Linux takes 128 KiB


def test_a_settings_record_holds_no_secret_and_is_json() -> None:
    whole = expected(*routed(Settings.from_layers(layers(), host="box")), ["git"])
    assert set(json.loads(json.dumps(whole))) == set(whole)
    assert whole["local"]["local"]["boxes"] == ["lmstudio/local"]
    assert "sk-" not in json.dumps(whole)


def _outcome(check: str, *symptoms: str, path: str = "") -> Outcome:
    found = tuple(Finding(symptom, f"seen {symptom}", path, {}, check, "agent") for symptom in symptoms)
    return Outcome(check, "agent", check, found, "", 0.0)


def test_consequences_are_not_told() -> None:
    seen = [_outcome("docker", "docker-down"), _outcome("gateway", "gateway-down"), _outcome("local-models", "smoke")]
    assert [each.symptom for each in causes(seen)] == ["docker-down"]
    assert [each.symptom for each in causes(seen[1:])] == ["gateway-down"]
    assert [each.symptom for each in causes(seen[2:])] == ["smoke"]


def _about(check: str, symptom: str, *subjects: str) -> Outcome:
    return Outcome(check, "agent", check, (Finding(symptom, symptom, "", {}, check, "agent", subjects),), "", 0.0)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        # A package that is gone explains what needs that package, and nothing else.
        ([_about("packages", "packages-missing", "ripgrep"), _outcome("firewall", "firewall-off")], 2),
        ([_about("packages", "packages-missing", "nftables"), _outcome("firewall", "firewall-off")], 1),
        # A server that is off explains a model of its own.
        ([_about("backends", "backend-off", "a"), _about("local-models", "smoke", "b")], 2),
        ([_about("backends", "backend-off", "a"), _about("local-models", "smoke", "a")], 1),
        # One user's Docker does not explain the other's gateway; a gateway that is down explains that it is silent.
        ([_about("docker", "docker-down", "claude"), _about("gateway", "gateway-down", "litellm")], 2),
        ([_about("docker", "docker-down", "litellm"), _about("gateway", "gateway-down", "litellm")], 1),
        ([_about("gateway", "gateway-down", "litellm"), _outcome("gateway-answers", "gateway-silent")], 1),
        # A key's age explains nothing.
        ([_about("key-files", "key-old", "litellm"), _about("gateway", "gateway-down", "litellm")], 2),
        ([_about("linger", "linger-off", "claude"), _outcome("sudo", "sudo-given")], 2),
    ],
)
def test_only_what_it_is_about_is_explained(seen: list[Outcome], told: int) -> None:
    assert len(causes(seen)) == told, causes(seen)


def test_a_changed_file_that_has_a_better_name_is_told_once() -> None:
    seen = [_outcome("placed", "placed-changed", path="/a"), _outcome("lane-records", "beta-header", path="/a")]
    assert [each.symptom for each in causes(seen)] == ["beta-header"]
    assert [each.symptom for each in causes(seen[:1])] == ["placed-changed"]


def test_no_check_needs_itself() -> None:
    needs = {each.name: [need.partition(":")[0] for need in each.needs] for each in CHECKS.values()}

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        assert name not in above, (*above, name)
        return 1 + max((depth(need, (*above, name)) for need in needs[name]), default=0)

    assert max(map(depth, needs)) < 10


LM_STUDIO = {
    "models": [{"key": "m", "loaded_instances": [{"id": "m:2", "config": {"context_length": 40000}}]}, {"key": "other"}]
}
READING = {
    "models": "models",
    "names": ["key", "loaded_instances.0.id"],
    "context": "loaded_instances.0.config.context_length",
}


@pytest.mark.parametrize(
    ("answer", "reading", "context"),
    [
        (LM_STUDIO, {**READING, "model": "m"}, 40000),
        (LM_STUDIO, {**READING, "model": "m:2"}, 40000),
        (LM_STUDIO, {**READING, "model": "other"}, None),
        (LM_STUDIO, {**READING, "model": "none"}, None),
        ({"error": "no"}, {**READING, "model": "m"}, None),
        (None, {**READING, "model": "m"}, None),
        (
            {"default_generation_settings": {"n_ctx": 32768}},
            {"models": None, "names": [], "model": "x", "context": "default_generation_settings.n_ctx"},
            32768,
        ),
    ],
)
def test_loaded_context_is_read_where_the_backend_says(answer: Any, reading: dict[str, Any], context: int) -> None:
    assert loaded(answer, reading) == context


def _told(ident: str) -> Told:
    row = symptoms.known()[ident]
    return Told(ident, row.level, row.symptom, "seen <here>", row.cause, row.cure)


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ([], 1),
        ([Report("a")], 0),
        ([Report("a", findings=(_told("reboot-pending"),))], 2),
        ([Report("a"), Report("b", findings=(_told("reboot-pending"), _told("gateway-down")))], 1),
        ([Report("a"), Report("b", problem="it was not reached")], 1),
    ],
)
def test_exit_status(reports: list[Report], code: int) -> None:
    assert status(reports) == code


def test_junit_can_be_parsed_whatever_a_host_says() -> None:
    told = Told("smoke", "failure", "what", "a \x1b[31m bell \x07", "cause", "cure")
    root = ElementTree.fromstring(junit([Report("a", findings=(told,), problem="\x00")]))  # noqa: S314 (our own)
    assert "bell" in str(root.find("testsuite/testcase/failure").get("message"))  # type: ignore[union-attr]


def test_junit_counts_what_it_holds() -> None:
    reports = [
        Report("a", checks=("one", "two"), findings=(_told("gateway-down"), _told("reboot-pending"))),
        Report("b", problem="it was not reached"),
    ]
    suites = ElementTree.fromstring(junit(reports))  # noqa: S314 (our own)
    counted = [(suite.get("tests"), suite.get("failures"), suite.get("errors"), len(suite)) for suite in suites]
    assert counted == [("4", "1", "0", 4), ("1", "0", "1", 1)]
    failure = suites.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "seen <here>"
