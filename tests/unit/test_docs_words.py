"""Commands, options, settings, files and links in the documentation exist; a misspelt one is noticed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from signalbox import symptoms
from signalbox.cli import cli
from signalbox.launcher.commands import COMMANDS
from signalbox.settings import Settings, SettingsError
from signalbox.settings.filling import RECORDS
from signalbox.settings.layers import defaults, merge
from signalbox.settings.settings import SECTION_NAMES
from tests.drills.drill import NAMES
from tests.good_settings import GOOD

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/guides/*.md", "examples/*.md")
    for path in PROJECT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
_FOLDERS = ("signalbox", "tests", "docs", "templates", "tasks", "examples", "group_data", "scripts", "bench")
_FILE = re.compile(rf"(?:{'|'.join(_FOLDERS)})/[\w./-]*\w|(?:deploy|remove|verify|inventory|Makefile)\.py|Makefile")
_SETTING = re.compile(rf"(?:{'|'.join(SECTION_NAMES)})(?:\.[\w-]+|\.<\w+>)+")
# Commands of a host that are no lane's launcher, and words that look like a command and are none.
_OTHERS = {"claude-code", "claude-secrets", "claude-hosts", "claude-code-linux-x64", "claude-vibe"}
# What our commands or persons make in a clone.
_MADE = re.compile(r"group_data/(?!all\.py)[\w.]+")


@dataclass(frozen=True)
class Mention:
    """A word of a page that names something; kind: command, setting, file, link, program, target."""

    kind: str
    text: str


def code(page: str) -> Iterator[str]:
    """Yield inline code, and each line of blocks that show a terminal."""
    for language, block in re.findall(r"```(\w*)\n(.*?)```", page, re.S):
        if language == "console":
            yield from (
                re.sub(r"^\s*[\w@]*[$#] ", "", line) for line in block.splitlines() if re.match(r"\s*[\w@]*[$#] ", line)
            )
    outside = re.sub(r"```.*?```", "", page, flags=re.S)
    yield from re.findall(r"`([^`\n]+)`", outside)


def mentions(page: str) -> Iterator[Mention]:
    """Yield what a page names."""
    for words in code(page):
        words = words.split("  #")[0].strip()
        if found := re.search(r"(?:^|uv run |\w=\S+ |[|;] )signalbox ([a-z].*)", words):
            yield Mention("command", found[1])
        if found := re.match(r"make ([a-z]+)", words):
            yield Mention("target", found[1])
        for name in re.findall(r"(?<![\w./~-])claude-[a-z]+(?:-[a-z]+)*(?![\w./@*<-])", words):
            yield Mention("program", name)
        if _SETTING.fullmatch(name := words.split(" = ")[0]) and not name.endswith(".py"):
            yield Mention("setting", name)
        for path in re.findall(rf"(?<![\w./~-])(?:{_FILE.pattern})(?![\w<{{*])", words):
            yield Mention("file", path)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page):
        yield Mention("link", target)


def wrong(mention: Mention, at: Path) -> str | None:
    """Return what is wrong with a mention on the page `at`; None: nothing."""
    return _CHECKS[mention.kind](mention.text, at)


def _command(text: str, _: Path) -> str | None:
    command: click.Command = cli
    for word in re.split(r"\s+", text.replace("|", " | ")):
        name = word.strip("[](),;:.…").split("=")[0]
        if word in ("|", "&&", ">"):
            break
        if name.startswith("-") and name != "-":
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
                "--help",
                "-h",
            }
            if name not in known:
                return f"{command.name} has no option {name}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", name):
            found = command.get_command(click.Context(command), name)
            if found is None:
                return f"{command.name} has no command {name}"
            command = found
    return None


def _target(text: str, _: Path) -> str | None:
    known = re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.M)
    return None if text in known else f"make has no target {text}"


def _program(text: str, _: Path) -> str | None:
    lanes = {f"claude-{name}" for name in defaults()["lanes"]} | {"claude-foundry"}
    known = lanes | {f"claude-{name}" for name in (*COMMANDS, "doctor")} | _OTHERS | set(symptoms.known())
    models = any(text.startswith(f"claude-{family}") for family in ("sonnet", "opus", "haiku", "fable"))
    return None if text in known or models else f"there is no program {text}"


def _setting(text: str, _: Path) -> str | None:
    section, *path = text.split(".")
    data: Any = defaults()[section]
    if section in RECORDS:
        record, _, model = RECORDS[section]
        if len(path) > 1 and path[1] not in record.model_fields:
            return f"{text}: {section} have no {path[1]}"
        if len(path) > 3 and model and path[3] not in model.model_fields:
            return f"{text}: models of {section} have no {path[3]}"
        return None
    for part in path:
        if not isinstance(data, dict):
            return f"{text}: nothing is below"
        if part not in data:
            return None if data == {} or "." in "".join(data) else f"{text}: there is no {part}"
        data = data[part]
    return None


def _file(text: str, _: Path) -> str | None:
    return (
        None
        if _MADE.fullmatch(text) or (PROJECT / text).exists() or list(PROJECT.glob(f"{text}*"))
        else f"there is no file {text}"
    )


def _link(text: str, at: Path) -> str | None:
    path, _, anchor = text.partition("#")
    there = (at.parent / path) if path else at
    if not there.exists() and not (there.parent.name == "drills" and there.stem in NAMES):  # a table that a run writes
        return f"the link {text} leads nowhere"
    if anchor and there.suffix == ".md":
        headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.M)
        known = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        if anchor not in known:
            return f"the link {text}: no such heading"
    return None


_CHECKS = {
    "command": _command,
    "target": _target,
    "program": _program,
    "setting": _setting,
    "file": _file,
    "link": _link,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_what_a_page_names_exists(page: Path) -> None:
    found = [problem for each in mentions(page.read_text(encoding="utf-8")) if (problem := wrong(each, page))]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_misspelt_word_of_a_page_is_noticed(page: Path) -> None:
    for each in set(mentions(page.read_text(encoding="utf-8"))):
        if each.kind == "command":
            misspelt = re.sub(r"^([a-z-]+)", r"\1x", each.text)
        elif each.kind == "setting" and each.text.count(".") == 1 and each.text.split(".")[0] in RECORDS:
            continue  # a record's name is the person's own
        elif each.kind == "setting":
            section, *path = each.text.split(".")
            place = 1 if section in RECORDS else 0
            if section not in RECORDS and not isinstance(defaults()[section], dict):
                continue
            path[place] += "x"
            misspelt = ".".join([section, *path])
        elif each.kind == "link":
            misspelt = f"x{each.text}" if "#" not in each.text else f"{each.text}x"
        elif each.kind == "program" and any(part in each.text for part in ("sonnet", "opus", "haiku", "fable")):
            continue  # names of models
        elif each.kind == "file":
            misspelt = re.sub(r"^(\w+)", r"\1x", each.text)
        else:
            misspelt = f"{each.text}x"
        assert wrong(Mention(each.kind, misspelt), page), f"{misspelt} passes for {each.text}"


def test_pages_name_enough_to_be_looked_at() -> None:
    found = [each for page in PAGES for each in mentions(page.read_text(encoding="utf-8"))]
    kinds = {kind: sum(each.kind == kind for each in found) for kind in _CHECKS}
    assert min(kinds.values()) >= 5, kinds
    assert not {"README.md", "docs/init.md", "docs/backends.md"} - {str(page.relative_to(PROJECT)) for page in PAGES}


def blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S), 1):
            yield f"{page.relative_to(PROJECT)} {number}", block


def unknown(block: str) -> list[str]:
    """Return what is said of settings of a block that no settings have."""
    data: dict[str, Any] = {}
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            data[statement.targets[0].id] = ast.literal_eval(statement.value)
    data = {name: value for name, value in data.items() if name in SECTION_NAMES}
    try:
        Settings.from_layers([("all", merge(merge(defaults(), GOOD), data))], host="192.168.1.10")
    except SettingsError as error:
        return [line for line in error.lines if "unknown setting" in line or "unknown key" in line]
    return []


@pytest.mark.parametrize(("where", "block"), list(blocks()), ids=[where for where, _ in blocks()])
def test_settings_in_examples_exist(where: str, block: str) -> None:  # noqa: ARG001 (names the case)
    assert unknown(block) == []


def test_an_unknown_setting_in_an_example_is_noticed() -> None:
    assert unknown('gateway = {"prot": 4001}\n')
