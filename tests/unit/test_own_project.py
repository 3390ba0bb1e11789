"""A project of a person's own, by the wheel alone; and how packaging and scaffolding has failed for real people.

- pypa/hatch #1130, #1305: what is force-included is not found when the wheel is built from the sdist.
- pypa/hatch #296: it is copied into editable installs, too, where it could hide the tree.
- Panniantong/Agent-Reach #329: a second file at the same path.
- litl/backoff #87, datamodel-code-generator #453: a wheel's top-level package (ours was `tasks`) hides a project's own.
- astral-sh/uv #13353: [tool.uv.sources] is unknown to others, who then take the name from PyPI.
- astral-sh/uv #16818: uv.lock may lack the hash of a wheel by path.
- astral-sh/uv #4391, #17261: another build of the same version is not installed.
- copier-org/copier #741, #343: an update overwrites a person's files.
- basecamp/kamal #737: init says nothing of files that a newer version has more.
- cloudflare/workers-sdk #2391, #3192, angular/angular-cli #10701: which version goes on, PATH's or the pinned one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from signalbox.commands.cli import cli
from signalbox.console import Failure
from signalbox.init import directory, scaffold
from signalbox.init.origin import Origin, OriginError, of_wheel
from tests import installed
from tests.good_settings import GOOD
from tests.installed import Machine, tree, wheel

PROJECT = installed.PROJECT
VERSION = re.findall(r'(?m)^version = "(.*)"$', (PROJECT / "pyproject.toml").read_text())[0]
NEWER = "7.0.0"
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built by way of its sdist."""
    place = tmp_path_factory.mktemp("built")
    return wheel(tree(place / "source"), place / "dist")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newer wheel: `gateway.port` is called `gateway.door` there, and its changelog tells two things more."""
    place = tmp_path_factory.mktemp("newer")
    source = tree(place / "source")
    renamed = source / "signalbox/settings/renamed.py"
    renamed.write_text(renamed.read_text().replace("= {}", '= {"gateway.old_port": "gateway.port"}'))
    changelog = source / "CHANGELOG.md"
    news = "### Added\n- `gateway.old_port` is `gateway.port`.\n- Nothing that this person has: `budgets`.\n"
    changelog.write_text(changelog.read_text().replace("### Added\n", news, 1))
    return wheel(source, place / "dist", NEWER)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Machine:
    """A machine without a clone, on which the wheel is installed as a tool."""
    machine = Machine(tmp_path_factory.mktemp("home"))
    machine.install(built)
    return machine


@pytest.fixture
def fleet(built: Path, tmp_path: Path) -> Path:
    """A project that pins the wheel, with a simulated host."""
    root = tmp_path / "fleet"
    root.mkdir()
    origin = of_wheel(built)
    made = scaffold.missing(root, origin)
    for change in made.changes:
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.write_text(change.new)
    made.place_wheel(root)
    host = {"fake_delay": 0, "fake_delay_jitter": 0, **GOOD, "gateway": {"port": 4100}}
    (root / "inventory.py").write_text(f"boxes = [('@fake/box1', {host!r})]\n")
    return root


def test_what_is_put_into_a_project_is_sound(tmp_path: Path) -> None:
    source = {"git": "https://example.org/s.git", "rev": "a" * 40}
    made = {change.path.name: change.new for change in scaffold.missing(tmp_path, Origin("1.2.3", source)).changes}
    assert 'dependencies = ["signalbox==1.2.3"]' in made["pyproject.toml"]
    (tmp_path / "pyproject.toml").write_text(made["pyproject.toml"])
    assert scaffold.sources(tmp_path / "pyproject.toml") == {"signalbox": source}
    for name in ("deploy", "verify", "remove"):
        text = made[f"{name}.py"]
        compile(text, name, "exec")
        assert f"from signalbox.runs import {name}\n\n{name}()\n" in text
        assert text.endswith((PROJECT / f"{name}.py").read_text().split('"""\n')[-1])  # as the repository's own
    assert len(made["README.md"].splitlines()) < 45, "one screen"


def test_what_is_there_is_a_persons_and_stays(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "deploy.py", "README.md"):
        (tmp_path / name).write_text("[project]\n" if name.startswith("pyp") else "mine = 1\n")
    made = scaffold.missing(tmp_path, None)
    names = {change.path.name for change in made.changes}
    assert not names & {"pyproject.toml", "deploy.py", "README.md"}
    assert [line.split(" is yours")[0] for line in made.told] == ["pyproject.toml", "deploy.py"]


@pytest.mark.parametrize(
    "name", ["signalbox-1.0.tar.gz", "signalbox-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"]
)
def test_what_is_no_wheel_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OriginError):
        of_wheel(tmp_path / name)


@slow
def test_the_wheel_has_all_that_is_needed_and_nothing_else(built: Path) -> None:
    names = set(zipfile.ZipFile(built).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"signalbox", f"signalbox-{VERSION}.dist-info"}, "a `tasks` of ours would hide a person's own"
    shipped = {
        f"signalbox/{path.relative_to(PROJECT)}"
        for folder in ("tasks", "templates")
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    package = {str(path.relative_to(PROJECT)) for path in (PROJECT / "signalbox").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"}  # fmt: skip
    package.remove("signalbox/tasks.py")  # stands for them in a clone
    wanted = {*shipped, *package, "signalbox/group_data/all.py", "signalbox/CHANGELOG.md"}
    assert {name for name in names if name.startswith("signalbox/")} == wanted


@slow
def test_an_editable_install_runs_the_tree_and_no_copy_of_it(tmp_path: Path) -> None:
    source, place = tree(tmp_path / "source"), tmp_path / "env"
    for words in (
        ["venv", "--quiet", str(place)],
        ["pip", "install", "--quiet", "--python", str(place), "-e", str(source)],
    ):
        machine = Machine(tmp_path)
        done = machine.run("uv", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    code = "import signalbox.tasks.base as b, signalbox.shipped as s; print(b.__file__, s.shipped('templates'))"
    done = Machine(tmp_path).run(str(place / "bin/python"), "-c", code, cwd=tmp_path)
    assert done.stdout.split() == [str(source / "tasks/base.py"), str(source / "templates")], done.stderr


@slow
def test_outside_of_any_clone_the_tool_plans_and_explains(machine: Machine, fleet: Path) -> None:
    done = machine.run("signalbox", "settings", "--explain", "gateway.port", cwd=fleet)
    assert "4000" in done.stdout, done.stderr
    assert machine.run("signalbox", "settings", "--check", cwd=fleet).returncode == 0
    plan = machine.run(
        "signalbox", "plan", "--json", cwd=fleet, secrets={"ANTHROPIC_DIRECT_KEY": "sk-ant-x", "FOUNDRY_API_KEY": "x"}
    )
    found = json.loads(plan.stdout)
    assert found["hosts"], found
    tasks = {change["task"] for change in found["hosts"][0]["changes"]}
    assert {"Base", "Gateway", "Launchers", "Doctor"} <= tasks or found["hosts"][0]["problems"], plan.stderr


@slow
def test_a_persons_own_tasks_are_theirs(machine: Machine, fleet: Path) -> None:
    (fleet / "tasks").mkdir()
    (fleet / "tasks/__init__.py").write_text("")
    (fleet / "tasks/base.py").write_text("def base():\n    print('MINE', __file__)\n")
    (fleet / "deploy.py").write_text("from tasks.base import base\n\nbase()\n\n" + (fleet / "deploy.py").read_text())
    environment = {"ANTHROPIC_DIRECT_KEY": "sk-ant-x", "FOUNDRY_API_KEY": "x"}
    python = machine.home / ".local/share/uv/tools/signalbox/bin/python"
    done = machine.run(
        str(python), "-m", "pyinfra", "inventory.py", "deploy.py", "--dry", cwd=fleet, secrets=environment
    )
    assert f"MINE {fleet}/tasks/base.py" in done.stdout, done.stderr[-2000:]
    assert "Toolchain" in done.stdout + done.stderr, "ours came after"


@slow
def test_the_strangers_package_does_not_come_in(machine: Machine, fleet: Path) -> None:
    done = machine.run("uv", "lock", cwd=fleet)
    assert done.returncode == 0, done.stderr
    package = re.findall(
        r'(?s)name = "signalbox"\nversion = "(.*?)"\nsource = (\{.*?\})', (fleet / "uv.lock").read_text()
    )
    assert package == [(VERSION, f'{{ path = "wheels/signalbox-{VERSION}-py3-none-any.whl" }}')]
    # By who knows nothing of [tool.uv.sources], such as pip: that version is nowhere else, so nothing is installed.
    done = machine.run("uv", "lock", "--no-sources", cwd=fleet)
    assert done.returncode != 0
    assert "signalbox" in done.stderr
    # The control: the name alone is the stranger's.
    (fleet / "requirements.in").write_text("signalbox\n")
    done = machine.run("uv", "pip", "compile", "--no-deps", "--quiet", "requirements.in", cwd=fleet)
    assert re.search(r"(?m)^signalbox==", done.stdout), done.stderr
    assert f"signalbox=={VERSION}" not in done.stdout


@slow
def test_a_wheel_that_has_changed_since_is_refused(machine: Machine, fleet: Path) -> None:
    assert machine.run("uv", "lock", cwd=fleet).returncode == 0
    (path,) = (fleet / "wheels").iterdir()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("signalbox/more.py", "evil = True\n")
    done = machine.run("uv", "sync", "--frozen", cwd=fleet)
    assert done.returncode != 0
    assert "mismatch" in done.stderr.lower(), done.stderr


@slow
def test_a_newer_version_is_tried_told_and_pinned(machine: Machine, fleet: Path, newer: Path) -> None:
    inventory = fleet / "inventory.py"
    sound = inventory.read_text()
    before = (fleet / "pyproject.toml").read_text()
    inventory.write_text(sound.replace("boxes = [", "boxes = [('@fake/box2', {'gateway': {'old_port': 4100}}), "))
    done = machine.run("signalbox", "upgrade", "--self", str(newer), "--yes", cwd=fleet)
    assert done.returncode == 1, done.stdout
    assert "gateway.old_port: is called gateway.port now; write that" in done.stderr, done.stderr
    assert (fleet / "pyproject.toml").read_text() == before, "refused, and written all the same"
    assert not (fleet / "wheels" / newer.name).exists()
    inventory.write_text(sound)
    done = machine.run("signalbox", "upgrade", "--self", str(newer), cwd=fleet)  # nobody there who would say yes
    assert (done.returncode, (fleet / "pyproject.toml").read_text()) == (1, before)
    done = machine.run("signalbox", "upgrade", "--self", str(newer), "--yes", "-v", cwd=fleet)
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert (
        told.index("`gateway.old_port` is `gateway.port`") < told.index("1 more changes:") < told.index("`budgets`")
    ), told
    assert f"signalbox=={NEWER}" in (fleet / "pyproject.toml").read_text()
    assert newer.name in (fleet / "uv.lock").read_text()
    # From now on the pinned one goes on, whatever is installed.
    done = machine.run("signalbox", "settings", "--check", cwd=fleet)
    assert f"pins version {NEWER} of Signalbox: that one goes on" in done.stderr
    assert done.returncode == 0, done.stderr
    again = machine.run("signalbox", "upgrade", "--self", str(newer), "--yes", cwd=fleet)
    assert "pins that already" in again.stderr, again.stderr


@slow
def test_without_uv_another_version_does_not_go_on_in_silence(machine: Machine, fleet: Path) -> None:
    text = (fleet / "pyproject.toml").read_text()
    (fleet / "pyproject.toml").write_text(text.replace(f"signalbox=={VERSION}", "signalbox==9.9.9"))
    (fleet / "bin").mkdir()
    (fleet / "bin/signalbox").symlink_to(machine.home / ".local/bin/signalbox")
    done = machine.run("bin/signalbox", "settings", cwd=fleet, secrets={"PATH": "/nowhere"})
    assert done.returncode == 1
    assert "this project pins version 9.9.9 of Signalbox, and this is another" in done.stderr


# ---- in a clone ----


def in_this_tree(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "HOME": str(cwd)}
    return subprocess.run(
        [sys.executable, "-c", "from signalbox.commands.cli import main; main()", *words], cwd=cwd, env=environment,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tree(tmp_path_factory.mktemp("cloned") / "signalbox")
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", str(there), *words], check=True)
    return there


@slow
@pytest.mark.parametrize(
    "words", [["pin", "--yes"], ["upgrade", "--yes", "node=22.23.4"], ["init", "--directory", "fleet", "--yes"]]
)
def test_a_clone_is_refused_as_a_project(clone: Path, words: list[str]) -> None:
    done = in_this_tree(clone, *words)
    assert done.returncode == 1
    assert "which stays as it is" in done.stderr, done.stderr
    assert (
        subprocess.run(["git", "-C", str(clone), "status", "--porcelain"], capture_output=True, check=True).stdout
        == b""
    )


@pytest.fixture
def small_clone(tmp_path: Path) -> Path:
    """What makes a clone one, as far as it is looked at."""
    there = tmp_path / "signalbox"
    (there / "signalbox").mkdir(parents=True)
    (there / "templates").mkdir()
    (there / "signalbox" / "shipped.py").write_text("")
    return there


@pytest.mark.parametrize("below", ["", "templates"])
def test_in_a_clone_a_directory_beside_it_is_taken(
    small_clone: Path, below: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small_clone / below)
    place = directory.placed(None, None, Path("answers.yaml"), asks=False)
    assert place.root == Path.cwd() == small_clone.parent / "signalbox-fleet"
    assert place.answers == small_clone / below / "answers.yaml", "named by who called, from where that was"
    assert "a clone of Signalbox, which stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["fleet", "../signalbox/templates", ".", "file"])
def test_where_a_project_cannot_be_is_told(small_clone: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_clone)
    (small_clone.parent / "mine").write_text("a file")
    path = small_clone.parent / "mine" if given == "file" else Path(given)
    with pytest.raises(Failure, match=r"stays as it is; name a directory|is no directory"):
        directory.placed(path, None, None, asks=False)


def test_a_home_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert directory.placed(None, None, None, asks=False).root == tmp_path / "fleet"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="is your home; name a directory of its own"):
        directory.placed(Path("~"), None, None, asks=False)


def test_an_inventory_that_would_be_lost_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.py").write_text("import os\nboxes = os.listdir()\n")
    with pytest.raises(Failure, match="holds more than literal data"):
        directory.placed(None, None, None, asks=False)


# ---- one way to say which hosts ----


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command


# What makes a project is asked for its directory; what was deployed from this machine is of no inventory.
_OF_NO_INVENTORY = ("init", "adopt", "history")


def test_every_command_takes_inventory_and_hosts_in_the_same_way() -> None:
    for name, command in commands():
        options = {option for each in command.params for option in each.opts}
        wanted = {"--limit"} if name == "history" else {"--limit", "--inventory"}
        if name not in ("init", "adopt"):
            assert wanted <= options, name
        if "--inventory" in options:
            words = next(each.help for each in command.params if "--inventory" in each.opts)
            assert words == "The inventory; inventory.py of this directory unless given.", name


_WHAT = {
    "certify": ["lmstudio"],
    "route": ["--explain", "/dev/null"],
    "secrets": ["--limit", "box1", "list"],
    "pin": ["--yes"],
    "upgrade": ["--yes"],
}
_WITHOUT = ("init", "adopt", "history", "certify", "outdated")  # the defaults are enough for these


@pytest.mark.parametrize("name", [name for name, _ in commands() if name not in _WITHOUT])
def test_where_there_is_no_project_it_is_said(name: str, tmp_path: Path) -> None:
    words = _WHAT.get(name, [])
    done = in_this_tree(tmp_path, name, *(["--limit", "box1"] if name == "settings" else words))
    assert done.returncode == 1, done.stdout
    assert f"there is no project here: {tmp_path} has no inventory.py" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["inventory.py"],
        ["--inventory", "inventory.py"],
        ["@fake/box1"],
        ["--limit", "@fake/box1"],
        ["inventory.py", "deploy.py"],
    ],
)
def test_what_people_type_goes_on_to_work(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("boxes = [('@fake/box1', {'fake_delay': 0, 'fake_delay_jitter': 0})]\n")
    (tmp_path / "deploy.py").write_text(
        "from pyinfra.operations import server\nserver.shell(name='x', commands=['true'])\n"
    )
    done = in_this_tree(tmp_path, "plan", "--json", *words)
    assert [each["host"] for each in json.loads(done.stdout)["hosts"]] == ["@fake/box1"], done.stderr


# ---- one spelling ----

_OTHERS = re.compile(
    r"(?:uv run |python3? -m |\.venv/bin/)(?:--\S+ )*signalbox\b(?!\.)|(?:uv run )?pyinfra (?:\w+/)?inventory\.py"
)
# Where another way is what a page is about: what a runner without an installed tool does, and what a project holds.
_TOLD = {
    "docs/project.md": 2, "docs/fleet.md": 2, "templates/project/README.md.j2": 1,
    "signalbox/commands/deploy.py": 1, "signalbox/init/newer.py": 1, "deploy.py": 1, "verify.py": 1, "remove.py": 1,
}  # fmt: skip


def _people_read() -> list[Path]:
    found = [*PROJECT.glob("*.py"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("docs/guides/*.md")]
    for folder in ("signalbox", "tasks", "templates", "group_data", "examples"):
        found += [p for p in (PROJECT / folder).rglob("*") if p.suffix in (".py", ".j2", ".yaml", ".md")]
    return found


def test_a_command_is_told_in_one_spelling() -> None:
    found = {}
    for path in _people_read():
        if times := len(_OTHERS.findall(path.read_text(encoding="utf-8"))):
            found[str(path.relative_to(PROJECT))] = times
    assert {name: times for name, times in found.items() if times > _TOLD.get(name, 0)} == {}


@pytest.mark.parametrize(
    "words", ["uv run signalbox plan", "pyinfra inventory.py deploy.py", ".venv/bin/signalbox x", "python -m signalbox"]
)
def test_another_spelling_is_noticed(words: str) -> None:
    assert _OTHERS.search(f"Next: {words}")


def test_the_tools_are_there() -> None:
    assert shutil.which("git")
    assert installed.uv().exists()
