"""Nothing that others said drives a terminal: the one function, and that everything printed passes it."""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unicodedata import category
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from signalbox import console
from signalbox.fleet.plan.report import Change, HostReport, Report
from signalbox.fleet.plan.text import junit, lines
from signalbox.host.shared import output
from signalbox.host.shared.output import shown

PROJECT = Path(__file__).parents[2]
# Our own colours, and what rich uses on a terminal: SGR alone.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TEXT = st.text(st.characters(), max_size=60) | st.text(
    st.sampled_from("a[]/;m0\n\t\r\x1b\x07\x08\x7f\x85\x90\x9b\x9c\x9d\u061c\u200b\u200d\u2028\u202e\u2066\ufeff\ud800\udc1b\U000e0041"),
    max_size=30,
)  # fmt: skip

# From public reports of tools that printed others' words as they were.
PAYLOADS = {
    "clipboard (OSC 52, daintree #3703)": "\x1b]52;c;Y3VybCBldmlsfHNoCg==\x07",
    "clipboard with a carriage return (NovaTerminal #280)": "\x1b]52;c\rid\r;?\x07",
    "title (OSC 0, nginx CVE-2009-4487)": "\x1b]0;root@prod\x07",
    "link that leads elsewhere (OSC 8, cqs #1341)": "\x1b]8;;file:///etc/passwd\x1b\\docs\x1b]8;;\x1b\\",
    "clear and forge a prompt (kubectl CVE-2021-25743)": "\x1b[2J\x1b[1;1Happrove? [Y/n]:",
    "cursor up, line rewritten (vercel/ai #20052)": "\x1b[10A\x1b[2Kbox1: clean",
    "answer on stdin (DSR)": "\x1b[6n",
    "answer on stdin (DECRQSS, CVE-2008-2383)": "\x1bP$q\ntouch /tmp/x\n\x1b\\",
    "answer on stdin (title report)": "\x1b[21t",
    "passthrough of a multiplexer (DCS tmux)": "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
    "keyboard of kitty (APC)": "\x1b_Gi=1,a=q;AAAA\x1b\\",
    "8-bit CSI and OSC (C1)": "\x9b2J\x9d52;c;eA==\x9c",
    "C1 as NEL": "ok\x85[box2] Success",
    "OSC that does not end": "\x1b]2;everything after this is gone",
    "reset of the terminal": "\x1bc",
    "line rewritten (sudo CVE-2023-28486, git sideband)": "bad\rall is well",
    "backspaces": "rm -rf /\x08\x08\x08\x08\x08\x08\x08\x08ls      ",
    "colours that hide (SGR 8)": "\x1b[8mhidden\x1b[0m",
    "colours of ours forged": "\x1b[32mall is well\x1b[0m",
    "order of letters (CVE-2021-42574)": "access\u202egranted\u2066denied",
    "marks of direction (bat #3862)": "left\u200e\u200f\u061cright",
    "letters that are not seen (tags)": "\U000e0041\U000e0042",
    "width of nothing": "lo\u200bcal\ufeff",
    "separators of lines": "a\u2028box1: clean\u2029",
    "half a character": "\ud83d\udc1b",
    "delete": "a\x7fb",
    "markup of rich (planemo #1643)": "[red]x[/red] [link=file:///etc/passwd]y[/link] [/nothing]",
}


def unsafe(text: str, kept: str = "\n") -> list[str]:
    """Return what in a text drives a terminal, our own colours apart."""
    rest = COLOUR.sub("", text)
    joiners = "\u200c\u200d"
    return [each for each in rest if category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") and each not in kept + joiners]


@given(TEXT)
def test_one_line_is_one_line_without_controls(text: str) -> None:
    told = shown(text)
    assert not COLOUR.search(told)
    assert not unsafe(told, kept="")
    assert len(told.splitlines()) <= 1
    assert shown(told) == told  # so it may pass twice
    told.encode()


@given(TEXT)
def test_lines_have_line_ends_and_tabs_alone(text: str) -> None:
    told = shown(text, lines=True)
    assert not COLOUR.search(told)
    assert not unsafe(told, kept="\n\t")
    assert told.count("\n") == text.count("\n")


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S")) | st.just(" ")))
def test_what_hides_nothing_is_as_it_was(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Größe: 3 µm",
        "naïve 日本語 \u0639\u0631\u0628\u064a",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f4bb",
        "10\u202f000 €",
    ],
)
def test_languages_are_left_alone(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize("name", PAYLOADS)
def test_known_attacks_are_words(name: str) -> None:
    attack = PAYLOADS[name]
    for told in (shown(attack), shown(attack, lines=True)):
        assert not unsafe(told)
        assert not COLOUR.search(told)


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_commands_tell_attacks_as_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that prints on the controller and on a host, with colours on."""
    on_terminal(monkeypatch)
    attack = PAYLOADS[name]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        console.print_table(["host", attack], [(attack, "x")])
        console.note(attack)
        console.Failure(attack).show()
        console.print_json({attack: attack})
        console.stdout().print(attack)
        console.stdout().print(Text(attack, style="red"))
        with console.working(attack):
            pass
        for line in lines(_report(attack), everything=True):
            console.stdout().print(line, soft_wrap=True)
        output.tell(attack)
        output.tell_text(attack)
        output.tell_json([attack])
        output.tell_coloured((output.RED, attack), ("", attack))
        output.say(attack)
        output.ask(attack)
    for told in (out.getvalue(), err.getvalue()):
        assert told
        # Of rich: the cursor hidden and shown again around a spinner.
        assert not unsafe(re.sub(r"\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r", "", told), kept="\n\t")


def test_without_the_function_the_same_look_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "shown", lambda text, **_: str(text))
    monkeypatch.setattr(output, "shown", lambda text, **_: str(text))
    for attack in ("\x1b]52;c;eA==\x07", "\x9d0;t\x9c", "\u202e"):
        for print_it in (console.note, output.tell, output.say):
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(out):
                print_it(attack)
            assert unsafe(out.getvalue()), attack


def _report(words: str) -> Report:
    change = Change(words, words, "may", (words,), (words,))
    return Report(
        (HostReport("box1", "unknown", 1, (change,), (words,), (words,), (words,), ((words, words),)),), (words,)
    )


@given(TEXT)
def test_a_plan_has_a_line_for_each_thing(words: str) -> None:
    told = [line.plain for line in lines(_report(words), everything=True)]
    assert not unsafe("\n".join(told), kept="\n\t")
    for line in told:
        _, *more = line.split("\n")
        assert all(each.startswith("        ") for each in more)


@given(TEXT)
def test_junit_is_xml_whatever_was_said(words: str) -> None:
    assert ElementTree.fromstring(junit(_report(words))).tag == "testsuites"  # noqa: S314 (our own)


# ---- every place that prints ----

# Whoever prints otherwise, and why nothing of others is in it.
MAY_PRINT = {
    "signalbox/host/shared/output.py",  # it is the way out
    "signalbox/console.py",  # it is the way out
    "signalbox/engine/output.py",  # it is the way out
    "signalbox/fleet/symptoms.py",  # makes a page of the documentation
    "signalbox/settings/manual.py",  # the same
    "signalbox/facts/secrets.py",  # a program for a host; hexadecimal digits
}
TO_THE_JOURNAL = ("signalbox/host/gateway/", "signalbox/host/supervisor/")  # it shows no control characters
PRINTS = {"print", "echo", "secho", "prompt", "confirm", "echo_via_pager", "pprint", "Console", "rprint", "input"}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def printing(path: Path) -> Iterator[str]:
    """Yield the places of a file that print past the one function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        of = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
        # Consoles come from console.py.
        ours = name == "print" and re.fullmatch(r"(console|stdout\(\)|stderr\(\)|live\.console)", of)
        streams = name in ("write", "writelines") and re.fullmatch(rf"sys\.({'|'.join(STREAMS)})(\.buffer)?", of)
        if streams or (
            name in PRINTS and not ours and of in ("", "click", "builtins", "rich", "rich.console", "console")
        ):
            yield f"{path.relative_to(PROJECT)}, line {node.lineno}: {ast.unparse(node)[:80]}"


def sources() -> list[Path]:
    files = [*(PROJECT / "signalbox").rglob("*.py"), *(PROJECT / "tasks").rglob("*.py"), *PROJECT.glob("*.py")]
    names = ((each, str(each.relative_to(PROJECT))) for each in files)
    return [each for each, name in names if name not in MAY_PRINT and not name.startswith(TO_THE_JOURNAL)]


def test_everything_printed_passes_the_one_function() -> None:
    assert [place for path in sources() for place in printing(path)] == []


def test_such_a_place_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PROJECT", tmp_path)
    for line in ("print(x)", "click.echo(x)", "click.secho(x)", "sys.stdout.write(x)", "Console().print(x)",
                 "click.confirm(x)", "sys.stderr.buffer.write(x)", "click.prompt(x)"):  # fmt: skip
        (tmp_path / "a.py").write_text(line)
        assert list(printing(tmp_path / "a.py")), line
    for line in ("console.print(x)", "stderr().print(x)", "file.write(x)", "note(x)"):
        (tmp_path / "a.py").write_text(line)
        assert not list(printing(tmp_path / "a.py")), line


def test_no_markup_is_read_anywhere() -> None:
    """rich reads [red] in a str; the console that all use does not."""
    assert click.unstyle(_captured("[red]x[/red]")) == "[red]x[/red]\n"


def _captured(text: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        console.stdout().print(text)
    return out.getvalue()
