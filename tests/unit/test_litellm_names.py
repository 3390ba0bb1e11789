"""A LiteLLM that is not the one that stubs/ tell of is told by what it has otherwise; the real one: tests/lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import litellm_names

STUB = """
class Hooks:
    def __init__(self, model: str) -> None: ...
    async def answered(self, model: str, kwargs: dict[str, int]) -> None: ...

class Router:
    model_list: list[int]

def price(model: str = "", *, usage: int | None = None) -> float: ...
known: dict[str, int]
"""
SAME = """
class Hooks:
    def __init__(self, model, more=1): pass
    async def answered(self, model, kwargs): pass
class Router:
    def __init__(self): self.model_list = []
def price(model='', tokens=0, usage=None): return 0.0
known = None
"""


def compared(tmp_path: Path, theirs: str) -> list[str]:
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "theirs.pyi").write_text(STUB)
    (tmp_path / "theirs.py").write_text(theirs)
    command = [sys.executable, "-c", litellm_names.COMPARE, json.dumps(litellm_names.relied_on(stubs))]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("", "", []),
        ("kwargs)", "kwargs, depth=None)", ["answered takes (model, kwargs, depth), and stubs/ say (model, kwargs)"]),
        ("kwargs)", "kw)", ["answered takes (model, kw), and stubs/ say (model, kwargs)"]),
        ("more=1", "more", ["__init__ takes (model, more), and stubs/ say (model)"]),
        ("usage=None", "used=None", ["price takes (model, tokens, used), and stubs/ say (model, usage)"]),
        ("usage=None", "**more", []),
        ("self.model_list", "self.models", ["Router.model_list is not there"]),
        ("known", "unknown", ["theirs.known is not there"]),
        ("class Router", "import gone\nclass Router", ["theirs cannot be imported: No module named 'gone'"]),
    ],
)
def test_what_is_otherwise_is_told(tmp_path: Path, was: str, now: str, told: list[str]) -> None:
    found = compared(tmp_path, SAME.replace(was, now) if was else SAME)
    assert len(found) == len(told), found
    assert all(words in line for words, line in zip(told, found, strict=True)), found


def test_the_stubs_of_litellm_are_read() -> None:
    wanted = litellm_names.relied_on()
    hooks = wanted["litellm.integrations.custom_logger"]["CustomLogger"]
    assert isinstance(hooks, dict)
    assert hooks["async_pre_call_deployment_hook"] == ["kwargs", "call_type"]
    assert wanted["litellm.router"] == {"Router": {"model_list": None}}
