"""The files that `signalbox init` writes: literals, whole, with what was there kept."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.init import files

SHIPPED = Path(__file__).parents[2] / "inventory.py"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(values)
@settings(deadline=None)
def test_a_literal_reads_back_as_what_it_was(value: Any) -> None:
    assert ast.literal_eval(files.literal(value)) == value


INVENTORY = Path("inventory.py")


def test_hosts_that_are_there_stay_and_the_placeholder_goes() -> None:
    there = files.literals(SHIPPED)
    hosts = files.entries(there, "claude_hosts") | {"192.168.1.10": {"ssh_user": "admin"}, "192.168.1.11": {}}
    assert files.with_entries(there, "claude_hosts", hosts) == {
        "claude_hosts": [("192.168.1.10", {"ssh_user": "admin"}), "192.168.1.11"]
    }
    assert files.entries({"ports": (1, 2), "words": ["<HOST>", 5]}, "ports") == {}
    assert files.entries({"ports": (1, 2), "words": ["<HOST>", 5]}, "words") == {}
    beside = {"claude_hosts": (["192.168.1.9"], {"ssh_port": 2222}), "others": ["a"]}
    assert files.with_entries(beside, "claude_hosts", files.entries(beside, "claude_hosts")) == beside


def test_what_was_there_is_kept_and_nothing_to_do_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("claude_hosts = []  # mine\n")
    wanted = {INVENTORY: {"claude_hosts": ["a.example.org"]}}
    changes = files.changes(tmp_path, wanted)
    assert any("-claude_hosts = []  # mine" in line for line in changes[0].diff(tmp_path))
    (kept,) = files.write(changes)
    assert kept.read_text() == "claude_hosts = []  # mine\n"
    assert files.changes(tmp_path, wanted) == []


def test_code_would_be_lost_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("import os\nclaude_hosts = [os.environ['HOST']]\n")
    with pytest.raises(files.FileError, match="more than literal data"):
        files.literals(tmp_path / "inventory.py")


def test_all_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("claude_hosts = []\n")
    (tmp_path / "group_data").write_text("a file where a directory belongs\n")
    changes = [
        files.Change(tmp_path / "inventory.py", "claude_hosts = []\n", "claude_hosts = ['x']\n"),
        files.Change(tmp_path / "group_data" / "claude_hosts.py", None, "x = 1\n"),
    ]
    with pytest.raises(files.FileError, match="nothing was changed"):
        files.write(changes)
    assert (tmp_path / "inventory.py").read_text() == "claude_hosts = []\n"


def test_what_was_edited_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("claude_hosts = []\n")
    changes = files.changes(tmp_path, {INVENTORY: {"claude_hosts": ["a.example.org"]}})
    (tmp_path / "inventory.py").write_text("claude_hosts = ['edited']\n")
    with pytest.raises(files.FileError, match="run this again"):
        files.write(changes)
    assert (tmp_path / "inventory.py").read_text() == "claude_hosts = ['edited']\n"
