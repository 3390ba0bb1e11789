"""The one file of symptoms: whole, found by what people paste, and what the documentation and the checks say."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.desired import symptoms
from signalbox.desired.packages import packages
from signalbox.fleet.symptoms import page as made
from signalbox.host.doctor import fixes, privileges
from signalbox.host.doctor.check import CHECKS
from signalbox.host.doctor.symptoms import FAILURE, WARNING, explain
from signalbox.settings import Settings
from tests.good_settings import layers

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "signalbox/host/doctor"
GUIDES: list[dict[str, str]] = yaml.safe_load(Path(__file__).with_name("guide_messages.yaml").read_text())
CHECKED = [*PACKAGE.glob("check_*.py"), PROJECT / "signalbox/fleet/verify.py"]
SOURCE = "".join(path.read_text() for path in CHECKED)


@pytest.mark.parametrize("row", GUIDES, ids=[row["message"] for row in GUIDES])
def test_a_message_of_the_guides_finds_its_row(row: dict[str, str]) -> None:
    found = [symptom.id for symptom in explain(row["message"], symptoms.known())]
    assert found[:1] == [row["row"]], found


@pytest.mark.parametrize("row", GUIDES, ids=[row["message"] for row in GUIDES])
def test_a_row_that_lost_its_words_is_noticed(row: dict[str, str]) -> None:
    known = symptoms.known()
    without = {**known, row["row"]: replace(known[row["row"]], symptom="something else", messages=("something else",))}
    assert [symptom.id for symptom in explain(row["message"], without)][:1] != [row["row"]]


@pytest.mark.parametrize("ident", list(symptoms.known()))
def test_its_own_messages_find_it(ident: str) -> None:
    symptom = symptoms.known()[ident]
    for message in symptom.messages:
        pasted = f"ERROR: {message.replace('*', ' some words ')}  (request 7)"
        assert ident in [each.id for each in explain(pasted, symptoms.known())], message


@pytest.mark.parametrize(
    ("pasted", "row"),
    [
        # what the servers of the lab and LiteLLM say in full
        ("The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 20000>= "
         "n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.",
         "context-small"),
        ("litellm.AuthenticationError: Malformed API Key passed in. Ensure Key has `Bearer ` prefix.",
         "empty-gateway-key"),
        ("-bash: /home/claude/.bashrc: line 9: syntax error near unexpected token `('", "alias-and-function"),
        ("bind: address already in use", "port-taken"),
        ('Error: model "gemma4:26b" not found', "model-not-found"),
        ("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial "
         "unix /var/run/docker.sock: connect: permission denied",
         "docker-down"),
        ("There's an issue with the selected model (claude-sonnet-4-6). It may not exist or you may not have access "
         "to it. Run /model to pick a different model.", "beta-header"),
    ],
)  # fmt: skip
def test_a_whole_message_finds_its_row(pasted: str, row: str) -> None:
    assert explain(pasted, symptoms.known())[0].id == row


@pytest.mark.parametrize("text", ["", "all is well", "say hello", "41.182.75"])
def test_other_words_find_nothing(text: str) -> None:
    assert explain(text, symptoms.known()) == []


def test_every_row_is_whole() -> None:
    for symptom in symptoms.known().values():
        assert symptom.level in (FAILURE, WARNING), symptom.id
        for text in (symptom.symptom, symptom.cause, symptom.cure):
            assert 0 < len(text.strip()) < 400, symptom.id


def test_what_is_checked_is_found_by_a_check_and_the_other_way_round() -> None:
    told = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', SOURCE))
    told |= {f"{name}-missing" for name in ("claude", "node", "mise")}
    known = symptoms.known()
    checked = {ident for ident, symptom in known.items() if symptom.check}
    billed = {"provider-refuses-key", "rate-limit"}  # told by a cloud alone
    assert checked - told == {"wrong-tool", "truncated-edits"} - told, "no check finds these"
    assert {ident for ident in told & set(known) if not known[ident].check} <= billed


def test_what_is_promised_to_be_fixed_can_be_and_the_other_way_round() -> None:
    assert {ident for ident, symptom in symptoms.known().items() if symptom.fix} == set(fixes.FIXES)


def test_every_need_of_a_check_is_a_check() -> None:
    names = {each.name for each in CHECKS.values()}
    needs = [need.partition(":") for each in CHECKS.values() for need in each.needs]
    assert {need for need, _, _ in needs} <= names
    assert privileges is not None
    # What is needed of the packages is what some settings have the tasks install.
    both = [{"rootless_docker": {"source": source}} for source in ("debian", "docker")]
    installed = {name for data in both for name in packages(Settings.from_layers(layers(data), host="box"))}
    assert {one for need, _, one in needs if need == "packages"} <= installed


def test_page_is_made_from_the_symptoms() -> None:
    page = (PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert page == made(), "run: python -m signalbox.fleet.symptoms > docs/troubleshooting.md"


def test_the_package_needs_the_standard_library_alone(tmp_path: Path) -> None:
    for path in [*PACKAGE.glob("*.py"), *(PACKAGE.parent / "shared").glob("*.py")]:
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_text(path.read_text())
    (tmp_path / "doctor" / "symptoms.json").write_text(yaml_as_json())
    program = tmp_path / "doctor" / "doctor.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), "--explain", "n_keep >= n_ctx"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[context-small]" in done.stdout


def yaml_as_json() -> str:
    import json

    rows: dict[str, Any] = symptoms.rows()
    return json.dumps(rows)
