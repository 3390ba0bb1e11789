"""Nothing reaches a host's shell that `sh` has not quoted: the builder, and a look over the sources."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.shell import Script, all_of, sh

PROJECT = Path(__file__).resolve().parents[2]
# The one place where a Script is made of a string.
BUILDER = PROJECT / "signalbox/shell/script.py"
# What a shell can be given: no NUL.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@given(words, st.lists(words, max_size=3))
def test_a_word_reaches_a_command_as_it_is(word: str, more: list[str]) -> None:
    assert shlex.split(sh("echo {} {more}", word, more=more), posix=True) == ["echo", word, *more]


def test_a_shell_takes_it_for_nothing_else() -> None:
    hostile = "a'b\"c $(id >&2) `id` ; id\n\\ \x1b]0;x\x07 *"
    done = subprocess.run(["sh", "-c", sh("printf '%s' {}", hostile)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (hostile, "")


def test_what_was_quoted_before_is_not_taken_for_a_script_nor_the_other_way_round() -> None:
    text = "echo $(id)"
    for _ in range(2):
        assert sh("{}", Script(text)) == text
        assert sh("{}", text) == "'echo $(id)'"
        assert sh("{word}", word=Script(text)) == text
        assert sh("{word}", word=text) == "'echo $(id)'"
    assert (sh("{}", 1), sh("{}", 1.0), sh("{}", "1")) == ("1", "1.0", "1")


def test_a_script_stands_as_it_is_and_quotes_whole_where_it_is_a_word() -> None:
    inner = sh("echo {}", "a b")
    assert sh("{{ {}; }}", inner) == "{ echo 'a b'; }"
    assert shlex.split(sh("sh -c {}", str(inner))) == ["sh", "-c", "echo 'a b'"]
    assert all_of(inner, sh("true")) == "echo 'a b' && true"


@pytest.mark.parametrize("template", ["echo '{}'", 'echo "{}"'])
def test_a_field_in_quotes_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="quotation mark"):
        sh(template, "x")


def findings(source: str) -> Iterator[str]:
    """Yield what makes shell text past the builder: a template that is no literal, a Script of a string, …"""
    tree = ast.parse(source)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        first = call.args[0] if call.args else None
        literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
        literal = literal or (isinstance(first, ast.Name) and first.id.strip("_").isupper() and name == "StringCommand")
        if name == "sh" and isinstance(call.func, ast.Name) and not literal:
            yield f"line {call.lineno}: the template of sh is no literal"
        elif name == "Script" and not literal:
            yield f"line {call.lineno}: a Script of a string"
        elif name == "cast" and isinstance(first, ast.Name) and first.id == "Script":
            yield f"line {call.lineno}: a Script by a cast"
        elif name == "StringCommand" and not literal:
            yield f"line {call.lineno}: a command of a string; use fed"
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if function.name == "command" and isinstance(function.returns, ast.Name) and function.returns.id == "str":
            yield f"line {function.lineno}: a fact's command is a string"


@pytest.mark.parametrize(
    "source",
    [
        'sh(f"rm -rf {path}")',
        'sh("rm -rf " + path)',
        "sh(template)",
        'Script(f"rm {path}")',
        "cast(Script, path)",
        'StringCommand(f"rm {path}")',
        "class F:\n    def command(self) -> str: ...",
    ],
)
def test_shell_text_past_the_builder_is_found(source: str) -> None:
    assert list(findings(source))


def test_no_source_makes_shell_text_past_the_builder() -> None:
    # What pyinfra's connectors are handed to become another user, and the lock's own shell, which take scripts whole.
    found = {
        str(path.relative_to(PROJECT)): told
        for folder in ("signalbox", "tasks")
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if path != BUILDER and (told := list(findings(path.read_text())))
    }
    assert found == {}


def test_a_script_is_a_string_for_who_reads_it() -> None:
    assert isinstance(sh("true"), Script)
    assert not isinstance(sh("a") + "b", Script)  # mypy and this: what is put together is no Script any more


def test_nothing_is_taken_away_through_a_mount() -> None:
    """A person may have mounted something below what is ours, such as a share."""
    sources = [*PROJECT.glob("signalbox/**/*.py"), *PROJECT.glob("tasks/*.py"), *PROJECT.glob("templates/**/*.j2")]
    lines = [(path, line) for path in sources for line in path.read_text().splitlines()]
    removing = [each for each in lines if re.search(r"\brm -\w*r", each[1]) or re.search(r"\bfind .*-delete", each[1])]
    assert len(removing) > 10
    crossing = [each for each in removing if not re.search(r"rm -rf --one-file-system|find .*-xdev", each[1])]
    assert [(path, line) for path, line in crossing if not line.lstrip().startswith("#")] == []
