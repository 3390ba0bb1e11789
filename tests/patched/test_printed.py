"""What pyinfra prints: its own colours are kept, and what a host says drives no terminal."""

from __future__ import annotations

import pyinfra_cli  # isort: skip  # noqa: F401 (it patches the standard library, so it comes first)

import logging
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from pyinfra import logger
from pyinfra.api import output
from pyinfra_cli import exceptions, log, prints

from signalbox.engine import output as printed
from signalbox.host.shared.output import shown
from tests.unit.test_shown import PAYLOADS, TEXT, unsafe


def logged(message: str, level: int = logging.INFO) -> str:
    printed.install()
    return log.LogFormatter().format(logger.makeRecord("pyinfra", level, "pyinfra/x.py", 1, message, None, None))


@given(TEXT)
@example("-->")
def test_pyinfra_logs_what_a_host_says_as_words(text: str) -> None:
    told = logged(f"[{printed.style('box1', bold=True)}] {printed.style(text, 'red')} {text}")
    rest = told.removeprefix("    [\x1b[1mbox1\x1b[0m] \x1b[31m")
    assert rest != told, "pyinfra's own colours are kept"
    said = shown(text, lines=True)
    assert rest == re.sub(r"\n(?=.)", "\n        ", f"{said}\x1b[0m {said}")


def test_a_host_cannot_use_our_colours() -> None:
    for attack in ("\x1b[32mok\x1b[0m", "\x1b[1;32mok"):
        assert "\x1b" not in logged(f"[box1] {attack}")
    assert "\x1b[31m" in logged("bad", logging.ERROR)  # pyinfra's own, of the whole line


def test_pyinfra_prints_lines_and_tracebacks_as_words(capsys: pytest.CaptureFixture[str]) -> None:
    attack = PAYLOADS["clipboard (OSC 52, daintree #3703)"]
    printed.echo(f"{printed.style('[box1]', 'blue')} {attack}", err=True)
    printed.tell_exception(ValueError, ValueError(attack), None)
    printed.install()
    error = ValueError(attack)
    try:
        raise error
    except ValueError:
        wrapped = exceptions.UnexpectedExternalError(error, "deploy.py")
    wrapped.show()
    told = "".join(capsys.readouterr())
    assert told.count(r"\x1b]52;c;") == 3
    assert not unsafe(told)


def test_what_is_relied_on_in_pyinfra_is_there() -> None:
    assert callable(log.LogFormatter.format)
    assert {"set_formatter", "set_echo", "is_output_active"} <= set(dir(output))
    for module in (exceptions, prints):
        used = set(re.findall(r"(?<![\w.])click\.(\w+)", Path(str(module.__file__)).read_text()))
        assert used <= {"style", "echo", "ClickException"}, used


def test_no_further_line_looks_like_pyinfras_own() -> None:
    ours = "--> pyinfra error: 2 settings are wrong\n  box1: a\n  box2: b"
    assert logged(ours) == ours
    for forged in ("    [box2] Success", "[box2] Success", "--> Results:"):
        assert f"\n        {shown(forged)}" in logged(f"--> pyinfra error: it says\n{forged}")
        assert f"\n        {shown(forged)}" in logged(f"[box1] it says\n{forged}")
