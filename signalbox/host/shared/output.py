"""How the commands speak: to people line by line, with nothing in it that drives a terminal.

Names of models, directories and lanes, answers of servers, files and error texts are others' words. All of them pass
`shown`, the one function that makes them safe to look at; the commands of the controller and the doctor use it too.
What goes to stderr is for people alone, because stdout is Claude Code's; exit statuses are those of sysexits(3).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn
from unicodedata import category

EX_USAGE, EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = 64, 69, 76, 77, 78

program = os.path.basename(sys.argv[0])  # what the messages begin with; `commands.main` sets it

# Our own colours (ECMA-48 SGR): the only control sequences that leave these commands.
PLAIN, DIM, GREEN, YELLOW, RED = "\x1b[0m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m"

# Unicode's controls, formats (directions, what cannot be seen), halves of characters, and separators of lines.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # of Persian, of Indian scripts, of emoji: they join or part letters, and no more
_NO_CHARACTERS = "\ufffe\uffff"  # XML cannot have them


def shown(text: object, lines: bool = False) -> str:
    """Return a text as one line that a terminal only shows: what is hidden in it is written out, such as \\x1b.

    lines: keep line ends and tabs; what follows a line end may then look like a line of the program's own.
    """
    text = str(text)
    if text.isprintable():
        return text
    kept = f"\n\t{_JOINERS}" if lines else _JOINERS
    return "".join(
        letter.encode("unicode_escape").decode() if letter not in kept and _is_hidden(letter) else letter
        for letter in text
    )


def _is_hidden(letter: str) -> bool:
    return category(letter) in _HIDDEN or letter in _NO_CHARACTERS


def tell(*lines: str) -> None:
    """Print lines on stdout."""
    for line in lines:
        print(shown(line), flush=True)


def tell_text(text: str) -> None:
    """Print the words of a model on stdout; their line ends and tabs are part of them."""
    print(shown(text, lines=True), flush=True)


def tell_coloured(*pieces: tuple[str, str]) -> None:
    """Print one line of pieces, each a colour ("" for none) and a text; NO_COLOR takes the colours away."""
    plain = bool(os.environ.get("NO_COLOR"))  # https://no-color.org
    print(coloured(*(("" if plain else colour, text) for colour, text in pieces)), flush=True)


def coloured(*pieces: tuple[str, str]) -> str:
    """Return one line of pieces, each a colour ("" for none) and a text."""
    return "".join(f"{colour}{shown(text)}{PLAIN}" if colour else shown(text) for colour, text in pieces)


def tell_json(value: Any) -> None:
    """Print a result as JSON, in ASCII, so that nothing in it reaches a terminal."""
    print(json.dumps(value, indent=2))


def hand_over(text: str) -> None:
    """Print what a program reads, a shell or Claude Code, as it is."""
    print(text)


def say(text: str) -> None:
    """Print a message on stderr. Its further lines are set in, so that none of them looks like another message."""
    print(f"{program}: {shown(text, lines=True)}".replace("\n", "\n  "), file=sys.stderr)


def ask(text: str) -> None:
    """Print a part of a question on stderr."""
    print(shown(text, lines=True), end="", flush=True, file=sys.stderr)


def fail(status: int, text: str) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    say(text)
    sys.exit(status)
