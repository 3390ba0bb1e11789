"""Commands, options, settings, files and links in the documentation exist; a misspelt one is noticed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from signalbox.commands.cli import cli
from signalbox.settings.record_defaults import RECORDS
from signalbox.settings.sections import SECTION_NAMES
from tests.unit.docs_words import FOREIGN, PAGES, PROJECT, code, in_python, in_yaml, links, problems

_IDS = [str(page.relative_to(PROJECT)) for page in PAGES]


def _wrong(page: str, at: Path) -> list[str]:
    return [each for words, shown in code(page) for each in problems(words, shown)] + list(links(page, at))


@pytest.mark.parametrize("page", PAGES, ids=_IDS)
def test_what_a_page_names_exists(page: Path) -> None:
    assert _wrong(page.read_text(encoding="utf-8"), page) == []


# Words of commands that are the person's own: names of hosts, files, sessions, versions.
_FREE = re.compile(
    r"box1|lmstudio|work|work/.*|usage\.html|answers\.yaml|signalbox-pull.*|vault\.key|signers|ops|site\.yml|node=.*|.*@.*|"
    r"list|group_vars|host_vars|project|notes|nightly|opt/.*"
)
_OURS = re.compile(
    r"(?:\w+=\S* )*(?:uv run )?"
    r"(?:signalbox|pyinfra|make|(?:\.venv/bin/)?python -m|claude-[a-z-]+(?=\s|$)|source claude-)"
)


def _misspelt(words: str) -> Iterator[str]:
    """Yield a command with one letter too many in each word that is ours: programs, their words, options, files."""
    shown = re.sub(r"'[^']*'|\"[^\"]*\"", "…", words)  # what is said in quotes is the person's own
    shown = re.split(r"\s+#(?:\s|$)|\s[|>;]\s", shown)[0]
    for found in re.finditer(r"(?<![^\s\[])(?:--?)?[a-z][a-z0-9_./-]*(?=[\s=\]]|$)", shown):
        before = shown[: found.start()].split()
        word = found[0]
        value = bool(before) and before[-1].startswith("-") and before[-1] not in ("-m", "-y", "--") and word[0] != "-"
        if (
            word in ("uv", "run", "-m", "-p", "-n", "-y", "-vv")
            or value
            or _FREE.fullmatch(word)
            or before[:1] == ["#"]
        ):
            continue
        middle = found.start() + (len(word) + 1) // 2
        yield f"{shown[:middle]}x{shown[middle:]}"


def _commands() -> Iterator[tuple[str, str, bool]]:
    for page, name in zip(PAGES, _IDS, strict=True):
        for words, shown in code(page.read_text(encoding="utf-8")):
            if _OURS.match(words) and "<" not in words and (shown or " " in words):
                yield name, words, shown


def test_a_letter_too_many_in_any_word_of_a_command_is_noticed() -> None:
    passed, tried = [], 0
    for page, words, shown in _commands():
        for misspelt in _misspelt(words):
            tried += 1
            if not list(problems(misspelt, shown)):
                passed.append(f"{page}: {misspelt}")
    assert passed == []
    assert tried > 300, tried


@pytest.mark.parametrize("kind", ["setting", "file", "link", "program"])
def test_a_letter_too_many_in_what_a_page_names_is_noticed(kind: str) -> None:
    passed, tried = [], 0
    for page, name in zip(PAGES, _IDS, strict=True):
        text = page.read_text(encoding="utf-8")
        for misspelt in _mistakes(kind, text):
            tried += 1
            if not _wrong(misspelt, page):
                passed.append(f"{name}: {misspelt}")
    assert passed == []
    assert tried >= 30, tried


_NAMES = {
    "setting": re.compile(r"`([a-z_]+\.[a-z_.]+)(?= = [^`]*`|`)"),
    "file": re.compile(r"`((?:signalbox|tests|docs|templates|tasks|examples|scripts)/[\w./-]*\w)`"),
    "link": re.compile(r"\]\(((?!http|mailto:)[^)\s]+)\)"),
    "program": re.compile(r"`(claude-[a-z-]+)`"),
}


def _mistakes(kind: str, text: str) -> Iterator[str]:
    """Yield what a page names of a kind, alone, with one letter too many."""
    for found in _NAMES[kind].finditer(text):
        name = found[1]
        section, path = name.split(".")[0], name.split(".")[1:]
        if kind == "setting" and (section not in SECTION_NAMES or section in RECORDS or path in (["py"], [])):
            continue  # a file, or below a name that is the person's own
        if kind == "setting" and path[0] == "sysctl":
            continue  # keys that are the kernel's
        if kind == "program" and re.search("sonnet|opus|haiku|fable", name):
            continue  # models
        for place in {(len(part) + 1) // 2 + start for start, part in _parts(kind, name)}:
            word = f"{name[:place]}x{name[place:]}"
            yield f"[x]({word})" if kind == "link" else f"`{word}`"


def _parts(kind: str, name: str) -> Iterator[tuple[int, str]]:
    if kind != "setting":
        yield 0, name
        return
    for found in re.finditer(r"\w+", name):
        yield found.start(), found[0]


@pytest.mark.parametrize(
    "mistake",
    [
        "`signalbx plan`",
        "`mke demo`",
        "`claude-doctor --fixx`",
        "`source claude-switch locl`",
        "`gatewy.port`",
        "`ssh_usr`",
        "`--data gateway.prot=4001`",
        "`pyinfra inventory.py deplooy.py`",
        "`uv run pyinfra inventory.py deploy.py --dryy`",
        "```console\n$ pyinfraa inventory.py deploy.py\n```",
        "```console\n$ llama-servr -m FILE\n```",
        "`.venv/bin/python -m tests.drilsl fleet`",
        "[x](nowhere.md)",
    ],
)
def test_a_known_kind_of_mistake_is_noticed(mistake: str) -> None:
    assert _wrong(mistake, PROJECT / "README.md")


def test_no_program_of_ours_counts_as_anothers() -> None:
    assert not {each for each in FOREIGN if each.startswith(("signalbox", "claude-", "pyinfra"))}


def _paths(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from _paths(command, (*path, name))


@pytest.mark.parametrize("path", list(_paths(cli)), ids=" ".join)
def test_every_command_tells_what_it_is_for(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*path, "--help"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Usage: ")
    assert "pyinfra_cli" not in sys.modules, "to tell that, it has read an inventory, which patches the whole process"


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page, name in zip(PAGES, _IDS, strict=True):
        for number, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S), 1
        ):
            yield f"{name} {number}", block


@pytest.mark.parametrize("block", [block for _, block in blocks("python")], ids=[name for name, _ in blocks("python")])
def test_settings_in_examples_exist_and_a_misspelt_one_does_not(block: str) -> None:
    assert list(in_python(block)) == []
    for found in re.finditer(r"^(\w+) = \{", block, re.M):
        assert list(in_python(f"{block[: found.end(1)]}z{block[found.end(1) :]}")), found[1]


def test_an_unknown_setting_in_an_example_is_noticed() -> None:
    assert list(in_python('gateway = {"prot": 4001}\n'))
    assert list(in_python('hosts = [("192.168.1.10", {"ssh_usr": "admin"})]\n'))


@pytest.mark.parametrize("block", [block for _, block in blocks("yaml")], ids=[name for name, _ in blocks("yaml")])
def test_answers_in_examples_are_questions_and_a_misspelt_one_is_none(block: str, tmp_path: Path) -> None:
    assert list(in_yaml(block, tmp_path)) == []
    for line in block.splitlines() if block.startswith("host:") else ():
        assert list(in_yaml(block.replace(line, f"{line[0]}x{line[1:]}", 1), tmp_path)), line
