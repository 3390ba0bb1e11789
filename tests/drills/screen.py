"""A terminal on the host with somebody at it: keys in, what stands on the screen out."""

from __future__ import annotations

import re
from types import TracebackType

from tests.drills import looks
from tests.lab.machine import wait_until

POINTER = "\u276f"  # before the entry of a list that Enter takes
TRUST = "trust this folder"  # of Claude Code 2.1.329, as the next two
# At its prompt it says which permission mode is on, in each with other hints behind.
MODES = {
    "default": "manual mode on",
    "acceptEdits": "accept edits on",
    "plan": "plan mode on",
    "auto": "auto mode on",
    "bypass": "bypass permissions on",
}
CLAUDE = "pgrep -u claude -f '^/home/claude/.local/bin/claude' || true"
PATIENCE = 60  # seconds; a busy machine takes its time to draw


class Terminal:
    """A command in a terminal of its own (tmux), as a context manager; it ends with it.

    name: tells those apart that are there at once.
    """

    def __init__(
        self, command: str, directory: str = "~", *, width: int = 150, height: int = 50, name: str = "drill"
    ) -> None:
        self._command, self._directory = command, directory
        self._size = f"-x {width} -y {height}"
        self._tmux, self._pane = f"tmux -L {name}", f"-t {name}"
        self._start = f"tmux -u -L {name} new-session -d -s {name}"
        self._before: set[str] = set()

    def __enter__(self) -> Terminal:
        looks.answer(f"{self._tmux} kill-server 2>/dev/null || true")
        self._before = set(looks.answer(CLAUDE).split())
        looks.answer(
            f"mkdir -p {self._directory} && cd {self._directory}"
            f" && {self._start} {self._size} {looks.quoted(self._command)}"
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"on the screen:\n{self.screen()}")
        looks.answer(f"{self._tmux} kill-server 2>/dev/null || true")
        # What Claude Code still has to say at its end is its own session's, not the next one's.
        ended = wait_until(lambda: set(looks.answer(CLAUDE).split()) <= self._before, PATIENCE, 0.3)
        assert ended, "Claude Code did not end with its terminal"

    def press(self, *keys: str) -> None:
        """Press keys by their names, such as Down or Enter, one after the other."""
        looks.answer("; ".join(f"{self._tmux} send-keys {self._pane} {key}; sleep 0.3" for key in keys))

    def type(self, text: str, *keys: str) -> None:
        """Type a text, then press these keys."""
        looks.answer(f"{self._tmux} send-keys {self._pane} -l {looks.quoted(text)}; sleep 0.3")
        self.press(*(keys or ("Enter",)))

    def paste(self, text: str) -> None:
        """Paste a text, as a terminal hands over what was copied or dropped."""
        looks.answer(f"{self._tmux} set-buffer {looks.quoted(text)}; {self._tmux} paste-buffer -p {self._pane}")

    def screen(self, *, colours: bool = False) -> str:
        """Return the lines that are on the screen; with `colours` as escape sequences."""
        shown = looks.answer(f"{self._tmux} capture-pane -p {'-e' if colours else ''} {self._pane} 2>/dev/null || true")
        return "\n".join(line for line in shown.splitlines() if line.strip())

    def first(self, *words: str, seconds: float = PATIENCE) -> str:
        """Wait until one of these texts is on the screen, and return it. AssertionError if none ever is."""
        found: list[str] = []

        def shown() -> bool:
            screen = self.screen()
            found.extend(each for each in words if each in screen)
            return bool(found)

        assert wait_until(shown, seconds, 0.3), f"none of {words} is on the screen:\n{self.screen()}"
        return found[0]

    def line(self, words: str) -> str:
        """Wait until these words are on the screen; return the last line that holds them. AssertionError if never."""
        self.first(words)
        return next(line.strip() for line in reversed(self.screen().splitlines()) if words in line)


class Claude(Terminal):
    """Claude Code in a terminal, at its prompt; the person says yes when it asks whether to trust the directory."""

    def __init__(self, command: str, *, width: int = 150, height: int = 50, name: str = "drill") -> None:
        super().__init__(command, "~/drill-inside", width=width, height=height, name=name)

    def __enter__(self) -> Claude:
        super().__enter__()
        try:
            if self.first(TRUST, *MODES.values()) == TRUST:
                self.press("Down", "Enter")
                self.first(*MODES.values())
        except AssertionError as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def mode(self) -> str:
        """Return the permission mode that the screen names, as a lane's setting names it."""
        shown = self.first(*MODES.values())
        return next(mode for mode, words in MODES.items() if words == shown)

    def menu(self) -> list[str]:
        """Return the entries of /model, in order; the menu is closed again."""
        self.type("/model")
        self.first("Select model")
        lines: dict[int, str] = {}
        for _ in range(30):  # a long list shows a part of itself at once
            known = len(lines)
            for line in self.screen().splitlines():
                if found := re.match(rf"[\s{POINTER}]*(\d+)\.\s+(.*)", line):
                    lines[int(found[1])] = " ".join(found[2].split())
            if len(lines) == known and known and "\u2193" not in self.screen():
                break
            self.press("Down")
        self.press("Escape")
        return [lines[number] for number in sorted(lines)]

    def ask(self, text: str, answer: str) -> None:
        """Type a prompt and wait until these words of an answer are there once more than before."""
        before = self.screen().count(answer)
        self.type(text)
        assert wait_until(lambda: self.screen().count(answer) > before, PATIENCE, 0.3), self.screen()

    def status_line(self, words: str) -> str:
        """Return the status line once it holds these words."""
        self.line(words)
        return next(each.strip() for each in reversed(self.screen().splitlines()) if " | " in each)
