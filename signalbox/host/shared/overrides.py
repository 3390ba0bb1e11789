"""Billing-lane proof: every source that could change where Claude Code goes or who pays, before it starts.

The environment is neutralised, because the launcher makes it anew; what Claude Code would read after that (settings
files, a stored login) beats the environment, so it stops the lane. Measured with Claude Code 2.1.329.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import within
from .claude_settings import UnusableError, deciding, parsed
from .variables import decides

PATH = 64 << 10  # bytes of a file that holds a path
OF_EVERY_SHELL = ("DISABLE_UPDATES",)  # a lane has it, and so has a shell without one
# What a lane of ~/.claude-backends.env sets beside the others' variables.
OF_A_PERSON = {"key_variable": "ANTHROPIC_AUTH_TOKEN", "environment": ("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",)}
EFFORT = "CLAUDE_CODE_EFFORT_LEVEL"
TOO_HIGH = ("xhigh", "max")  # efforts that many backends refuse

# Where a shell's variable may come from, in the order in which a person would look.
STARTUP = (
    ".bashrc", ".bash_aliases", ".bash_profile", ".bash_login", ".profile",
    ".zshenv", ".zprofile", ".zshrc", ".zlogin",
    ".config/claude-secrets.env", ".config/environment.d/*.conf", ".pam_environment",
)  # fmt: skip
SYSTEM = ("/etc/environment", "/etc/profile", "/etc/profile.d/*.sh", "/etc/bash.bashrc", "/etc/zsh/*", "/etc/zshenv")


@dataclass(frozen=True)
class Source:
    """One thing that would decide in the lane's place: what, where it comes from, what to do about it.

    beats: whether Claude Code would follow it and not the lane, so that the lane must not start.
    """

    what: str
    where: str
    cure: str
    beats: bool

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.cure}"


def of_lane(lane: Mapping[str, Any], records: Mapping[str, Any], arguments: Sequence[str] = ()) -> Iterator[Source]:
    """Yield everything that could decide in place of `lane`; `arguments` are those meant for claude."""
    wanted = {**lane["environment"]}
    yield from _of_environment(records)
    if os.environ.get(EFFORT) in TOO_HIGH:
        cure = "many backends refuse it, so the lane's own holds here"
        yield Source(f"{EFFORT}={os.environ[EFFORT]}", where_set(EFFORT), cure, beats=False)
    yield from _of_path(records)
    proxied = lane["via"] != "first-party"
    yield from _of_settings(wanted, settings_files(Path(wanted["CLAUDE_CONFIG_DIR"]), records), proxied)
    yield from _of_arguments(wanted, arguments, proxied)
    yield from _of_login(lane)


def put_by_lanes(records: Mapping[str, Any], environment: Mapping[str, str]) -> set[str]:
    """Return the variables that a lane has put into this environment: what another lane must not take for a wish."""
    if "SIGNALBOX_LANE" not in environment:
        return set()
    names = {name for lane in records["lanes"].values() for name in lane["environment"]} - set(OF_EVERY_SHELL)
    ours = records["lanes"].get(environment["SIGNALBOX_LANE"], OF_A_PERSON)
    return {"SIGNALBOX_LANE", ours["key_variable"], *OF_A_PERSON["environment"], *names} & environment.keys()


def of_plain_claude(records: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Source]:
    """Yield what would take plain `claude` away from its own login."""
    for source in _of_environment(records, environment):
        yield Source(source.what, source.where, "plain claude follows it; take it out", beats=True)
    directory = environment.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude"
    yield from _of_settings({}, settings_files(Path(directory), records))
    yield from _of_path(records)


def settings_files(directory: Path, records: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the settings files that Claude Code merges for the configuration directory and the current directory."""
    managed = Path(records["managed"])
    yield managed / "managed-settings.json"
    yield from within.names_in(managed, "managed-settings.d/*.json")
    yield directory / "remote-settings.json"
    yield directory / "settings.json"
    projects = [Path.cwd() / ".claude/settings.json"]
    projects += [each / ".claude/settings.local.json" for each in (Path.cwd(), *_checkouts())]
    yield from (each for each in dict.fromkeys(projects) if each != directory / "settings.json")


def _checkouts() -> Iterator[Path]:
    """Yield the checkout around the current directory, and of a worktree the main one, whose local settings count."""
    here = Path.cwd()
    # os.path: a directory that may not be looked at, such as /root after `su`, is none, and no error.
    root = next((each for each in (here, *here.parents) if os.path.exists(each / ".git")), None)
    if root is None:
        return
    yield root
    try:
        git = root / within.text_of(root / ".git", PATH).removeprefix("gitdir:").strip()
        yield (git / within.text_of(git / "commondir", PATH).strip()).resolve().parent
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        return  # no worktree


def where_set(name: str) -> str:
    """Return file and line that set the variable `name` for shells, or say that its origin is not known."""
    setting = re.compile(rf"^\s*(?:export\s+|declare\s+-x\s+|set\s+-gx\s+)?{re.escape(name)}\s*[= ]")
    files = [Path.cwd() / ".env", Path.cwd() / ".envrc"]
    for pattern in (*(f"{Path.home()}/{each}" for each in STARTUP), *SYSTEM):
        files += within.names_in(Path("/"), pattern.removeprefix("/"))
    for path in files:
        try:
            lines = within.text_of(path).splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, start=1):
            if setting.match(line):
                return f"{path}, line {number}"
    return "the environment that this was called from"


def _of_environment(records: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Iterator[Source]:
    # In a lane's own session, or a shell that was switched to it, the lane's variables are no surprise.
    put = put_by_lanes(records, environment)
    ours = records["lanes"].get(environment.get("SIGNALBOX_LANE"))
    if ours:
        put = {each for each in put if ours["environment"].get(each) == environment[each]} | {ours["key_variable"]}
    for name in sorted(environment):
        if not decides(name) or name in put:
            continue
        yield Source(name, where_set(name), "it is not used here; take it out", beats=False)


def _of_path(records: Mapping[str, Any]) -> Iterator[Source]:
    found, pinned = shutil.which("claude"), records["claude"]
    if found and os.path.realpath(found) != os.path.realpath(pinned):
        cure = f"this runs {pinned}; remove the other, or put ~/.local/bin first"
        yield Source("another claude is first on PATH", found, cure, beats=False)


def _of_settings(wanted: Mapping[str, str], files: Iterator[Path], proxied: bool = False) -> Iterator[Source]:
    for path in files:
        try:
            text = within.bytes_of(path).decode()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            # Below a directory that may not be looked at there is nothing for Claude Code either.
            if path.name != "remote-settings.json" and os.path.lexists(path):
                yield Source("it cannot be read", str(path), f"mend it, or move it away ({error})", beats=True)
            continue
        yield from _of_settings_text(wanted, text, str(path), proxied)


def _of_settings_text(wanted: Mapping[str, str], text: str, where: str, proxied: bool) -> Iterator[Source]:
    """Yield what in a settings file's text decides; proxied: whether a proxy would stand between lane and server."""
    try:
        settings = parsed(text)
    except UnusableError as error:
        yield Source(f"it {error.what}", where, f"mend it, or move it away{error.detail}", beats=True)
        return
    for keys in deciding(settings, wanted, proxied=proxied):
        yield Source(f"{'.'.join(keys)} beats the lane", _line(where, text, keys[-1]), "take it out", beats=True)


def _of_arguments(wanted: Mapping[str, str], arguments: Sequence[str], proxied: bool) -> Iterator[Source]:
    for index, argument in enumerate(arguments):
        if argument == "--":
            return
        if argument == "--settings" and index + 1 < len(arguments):
            value = arguments[index + 1]
        elif argument.startswith("--settings="):
            value = argument.partition("=")[2]
        else:
            continue
        if value.lstrip().startswith("{"):
            yield from _of_settings_text(wanted, value, "the argument --settings", proxied)
        else:
            yield from _of_settings(wanted, iter([Path(value)]), proxied)


def _of_login(lane: Mapping[str, Any]) -> Iterator[Source]:
    """A login of a person's account in the lane's directory would be in reach of what the lane talks to."""
    directory = Path(lane["environment"]["CLAUDE_CONFIG_DIR"])
    if lane["via"] == "first-party" and not lane["key_file"]:
        return  # such a lane is for a login of its own
    own = Path.home() / ".claude"
    if directory.exists() and own.exists() and directory.samefile(own):
        yield Source("it is ~/.claude, plain claude's own", str(directory), "remove the link", beats=True)
    credentials, config = directory / ".credentials.json", directory / ".claude.json"
    cure = "this lane has a key of its own; move the login away"
    if credentials.exists():
        yield Source("a stored login", str(credentials), cure, beats=True)
    try:
        text = within.text_of(config)
        state = within.json_of(text)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return  # of a damaged one Claude Code begins a new one
    except OSError as error:
        yield Source("it cannot be read", str(config), f"mend it, or move it away ({error.strerror})", beats=True)
        return
    for key, what in (("primaryApiKey", "a stored API key"), ("oauthAccount", "a stored login's account")):
        if isinstance(state, dict) and state.get(key):
            yield Source(what, _line(str(config), text, key), cure, beats=True)


def _line(where: str, text: str, key: str) -> str:
    """Return `where` with the line of the JSON text that first holds `key`."""
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    return f"{where}, line {text.count(chr(10), 0, found.start()) + 1}" if found else where
