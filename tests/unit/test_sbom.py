"""What Signalbox is made of, as `make sbom` writes it: all locked runtime dependencies, and nothing of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.installed import uv

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]


def locked() -> dict[str, str]:
    """Return the runtime dependencies of uv.lock by name, on the way of each package to the next."""
    packages = {each["name"]: each for each in tomllib.loads((PROJECT / "uv.lock").read_text())["package"]}
    found: dict[str, str] = {}
    left = [each["name"] for each in packages["signalbox"]["dependencies"]]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = packages[name]["version"]
            left += [each["name"] for each in packages[name].get("dependencies", ())]
    return found


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("sbom") / "signalbox.cdx.json"
    command = [str(PROJECT / "scripts/sbom"), str(file)]
    environment = {**os.environ, "PATH": f"{uv().parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(file.read_text()))


def test_it_has_the_locked_runtime_dependencies(document: dict[str, Any]) -> None:
    told = {each["name"]: each["version"] for each in document["components"]}
    needed = locked()
    elsewhere = set(needed) - set(told)  # of other systems: a marker of theirs leaves them out nowhere
    assert elsewhere == set(), elsewhere
    assert {name: told[name] for name in needed} == needed
    assert {"pyinfra", "pydantic", "cryptography", "click", "rich"} <= set(told)


def test_it_has_nothing_of_the_tests(document: dict[str, Any]) -> None:
    assert {each["name"] for each in document["components"]} == set(locked())
    assert not {"pytest", "mkdocs", "ansible-core"} & {each["name"] for each in document["components"]}


def test_each_has_a_name_that_programs_know(document: dict[str, Any]) -> None:
    assert document["bomFormat"] == "CycloneDX"
    assert all(each["purl"].startswith("pkg:pypi/") for each in document["components"])
    assert document["metadata"]["component"]["name"] == "signalbox"
