"""A kind of backend or cloud is one module: no code outside of backends/ knows one by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.backends import BACKENDS, CLOUDS
from signalbox.settings.layers import DEFAULTS, defaults

ROOT = DEFAULTS.parents[1]
NAMES = {*BACKENDS, *CLOUDS, *defaults()["backends"], *defaults()["clouds"]}
# Where such a word means something else.
ELSEWHERE = {
    ("signalbox/certify/version.py", "llama_cpp"),  # the model server that a trial of its own plays
    ("signalbox/certify/version.py", "lmstudio"),
    ("signalbox/host/launcher/backends_env.py", "ollama"),  # lanes of the third guide's file
    ("signalbox/host/launcher/backends_env.py", "vllm"),
    ("signalbox/init/existing_host.py", "anthropic"),  # LiteLLM's word, for a model without one
    ("signalbox/init/existing_host.py", "openai"),
    ("signalbox/desired/model_memory/families.py", "mistral"),  # architectures of models
    ("signalbox/desired/model_memory/from_config.py", "mistral"),
    ("signalbox/settings/layers.py", "lmstudio"),  # the record that is shipped as an example
    ("signalbox/settings/rules/model_server.py", "llama_cpp"),  # the section model_server's own setting
    ("tasks/model_server.py", "llama_cpp"),
}


def _named(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each kind or shipped record in a text that is no prose, choices of Literal aside."""
    tree = ast.parse(source)
    choices = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal"
        for part in ast.walk(node.slice)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in choices:
            continue
        for name in NAMES:
            # Of Anthropic's own addresses, headers and packages there are many, and they branch on nothing.
            part = rf"(.*[^a-z])?{name}([^a-z].*)?" if name != "anthropic" else name
            if " " not in node.value.strip() and re.fullmatch(part, node.value, re.DOTALL):
                yield node.lineno, name


def _files() -> Iterator[Path]:
    for folder in ("signalbox", "tasks"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if "backends" not in path.relative_to(ROOT).parts)


def test_no_code_outside_of_backends_knows_a_kind_by_name() -> None:
    found = {
        (str(path.relative_to(ROOT)), name): line
        for path in _files()
        for line, name in _named(path.read_text(encoding="utf-8"))
    }
    new = [f"{path}:{line}: {name}" for (path, name), line in found.items() if (path, name) not in ELSEWHERE]
    assert new == [], "say it in the kind's module of signalbox/backends"
    assert ELSEWHERE - set(found) == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('if kind == "mistral": pass', ["mistral"]),
        ('answers.get("foundry_resource")', ["foundry"]),
        ('f"foundry-{name}"', ["foundry"]),
        ('kind: Literal["mistral", "vllm"]', []),
        ('"""What Mistral and foundry have in common."""', []),
        ('headers = {"anthropic-version": "1"}', []),
        ('if account in ("anthropic", "local"): pass', ["anthropic"]),
    ],
)
def test_a_branch_on_a_kind_would_be_noticed(source: str, names: list[str]) -> None:
    assert [name for _, name in _named(source)] == names
