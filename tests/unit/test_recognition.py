"""Which runs of pyinfra are Signalbox's, and which are left alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Inventory

from signalbox.engine.recognition import is_ours
from signalbox.shipped import shipped

ROOT = shipped("")


def inventory(
    data: dict[str, Any] | None = None,
    of_host: dict[str, Any] | None = None,
    given: dict[str, Any] | None = None,
    **groups: dict[str, Any],
) -> Inventory:
    names = [("box", of_host or {})]
    return Inventory(
        (names, data or {}), override_data=given, **{name: (["box"], each) for name, each in groups.items()}
    )


def ours(directory: Path, *operations: str, of: Inventory | None = None) -> bool:
    return is_ours(of or inventory(), operations, [directory])


@pytest.mark.parametrize("name", ["deploy.py", "remove.py", "verify.py", "signalbox/commands/deploys/lock.py"])
def test_our_own_deploy_files_from_anywhere(tmp_path: Path, name: str) -> None:
    assert ours(tmp_path, str(ROOT / name))
    shutil.copy(ROOT / name, tmp_path / "site.py")  # a project's own copy of it
    assert ours(tmp_path / "elsewhere", str(tmp_path / "site.py"))


@pytest.mark.parametrize(
    "text",
    [
        "from tasks.base import base",
        "import tasks.firewall as f",
        "def late():\n    from signalbox.settings import settings_for",
        "from signalbox import settings",
        "import mine.hosts",
        "from mine import hosts",
        "from mine.hosts import all_of_it",
        "from pyinfra import local\nlocal.include('mine/hosts.py')",
        "from pyinfra import local\nlocal.include(filename='tasks_of_mine.py')",
    ],
)
def test_a_deploy_that_leads_to_our_tasks(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hosts.py").write_text("from tasks.gateway import gateway\n")
    (tmp_path / "tasks_of_mine.py").write_text("import mine.hosts\n")
    (tmp_path / "site.py").write_text(text)
    assert ours(tmp_path / "elsewhere", str(tmp_path / "site.py"))


@pytest.mark.parametrize(
    "text",
    [
        "from pyinfra.operations import apt",
        "from tasks.web import web",  # a package of somebody else's
        "import tasks",
        "from signalbox.facts import FirstLine",  # of use with any data
        "import signalbox_tools.settings",
        "word(",
        "x = '" + "a" * 600_000 + "'\nimport tasks.base",
        "\0",
        "(" * 5000,
    ],
)
def test_a_deploy_of_somebody_elses(tmp_path: Path, text: str) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "web.py").write_text("import site\n")
    (tmp_path / "site.py").write_text(text)
    data = {
        "base": {"packages": ["git"]},
        "backends": [{"address": "192.0.2.1"}],
        "ssh_user": "me",
        "gateway": {"ip": 1},
    }
    assert not ours(tmp_path, str(tmp_path / "site.py"), of=inventory(data, web={"firewall": {"open": [80]}}))


def test_imports_in_a_ring_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("import a\n")
    assert not ours(tmp_path, str(tmp_path / "a.py"))


def test_what_runs_where_our_deploy_files_are(tmp_path: Path) -> None:
    shutil.copy(ROOT / "deploy.py", tmp_path)
    for operations in (("exec", "--", "id"), ("fact", "server.Users"), ("updates.py",)):
        assert ours(tmp_path, *operations)
    assert ours(ROOT, "exec", "id")


def test_functions_and_facts_of_ours(tmp_path: Path) -> None:
    assert ours(tmp_path, "tasks.base.base")
    assert ours(tmp_path, "tasks.base:base")
    assert not ours(tmp_path, "fact", "server.Users")


@pytest.mark.parametrize(
    "found",
    [
        inventory({"lanes": {}}),
        inventory({"gateway": {"port": 4001}, "base": {"timezone": "UTC"}}),
        inventory(web={"gateway": {"port": 4001}, "base": {"timezone": "UTC"}}),
        inventory(of_host={"gateway": {"port": 4001}, "connection": {"sudo": True}}),
        inventory(given={"gateway.port": 4001, "lock.reason": "x"}),
    ],
)
def test_a_layer_with_sections_of_ours(tmp_path: Path, found: Inventory) -> None:
    assert ours(tmp_path, "exec", "id", of=found)
