"""Checks of Claude Code and its lanes: programs, shells, settings files, and variables that would beat a lane."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..shared import within
from ..shared.claude_settings import UnusableError, deciding, parsed
from ..shared.overrides import STARTUP, SYSTEM, TOO_HIGH, of_lane, of_plain_claude
from ..shared.variables import decides
from .check import Finding, check
from .host_context import AGENT, Here, read, run
from .shell_files import without

SYMPTOM_OF = {"ANTHROPIC_API_KEY": "billed-subscription", "ANTHROPIC_SMALL_FAST_MODEL": "deprecated-variable"}
BETAS = "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS"


@check(AGENT)
def versions(here: Here) -> Iterator[Finding]:
    """Claude Code, Node and mise are there, at their pins"""
    wanted = here.expected["versions"]
    if not wanted:
        return
    home = here.home
    looks = (
        ("claude", wanted["claude_code"], home / ".local/bin/claude"),
        ("node", wanted["node"], home / f".local/share/mise/installs/node/{wanted['node']}/bin/node"),
        ("mise", wanted["mise"], Path("/usr/local/bin/mise")),
    )
    for name, pin, path in looks:
        status, said = run(str(path), "--version", timeout=20)
        found = re.search(r"\d+\.\d+\.\d+", said)
        if status or not found:
            seen = f"{path} --version: {said[-200:] or f'ended with {status}'}"
            yield Finding(f"{name}-missing", seen, str(path), subjects=(name,))
        elif found[0] != pin:
            symptom = "claude-version" if name == "claude" else f"{name}-missing"
            yield Finding(symptom, f"{path} is {found[0]}, pinned is {pin}", str(path), subjects=(name,))


@check(AGENT, needs=("lane-records", "shell-syntax", "versions:claude"))
def path(here: Here) -> Iterator[Finding]:
    """Shells find claude and the lanes' commands, and no others of their names"""
    if not (here.lanes or here.expected["versions"]):
        return  # a host without launchers and tools
    commands = [f"claude-{name}" for name in here.lanes]
    found = _on_path("-lc", "claude", *commands)
    pinned = here.home / ".local/bin/claude"
    if not found.get("claude"):
        yield Finding("not-on-path", "a login shell finds no claude", _path_setter(here))
    elif here.expected["versions"]:
        # What only shells at a prompt set up, such as `mise activate`, may put another one first.
        shells = {"a login shell": found["claude"], "a shell at a prompt": _on_path("-ic", "claude").get("claude")}
        ours = os.path.realpath(pinned)
        others = [(shell, where) for shell, where in shells.items() if where and os.path.realpath(where) != ours]
        for shell, where in others[:1]:
            yield Finding("other-claude", f"{shell} finds {where} before {pinned}")
    for name in commands:
        if not found.get(name):
            yield Finding("not-on-path", f"a login shell finds no {name}", f"/usr/local/bin/{name}")
        elif found[name] != f"/usr/local/bin/{name}":
            # One outside of the home is not the user's to move.
            aside = {"aside": True} if Path(found[name]).is_relative_to(here.home) else {}
            yield Finding("launcher-shadowed", f"{found[name]} comes before the launcher {name}", found[name], aside)
    # bash finds what may not be executed too, where there is nothing else.
    programs = dict.fromkeys(os.path.realpath(found[name]) for name in commands if found.get(name))
    for program in programs:
        if not os.access(program, os.X_OK):
            seen = f"{here.user} may not run {program}, of the mode {stat.S_IMODE(os.stat(program).st_mode):o}"
            yield Finding("launcher-not-executable", seen, program)


def _on_path(flags: str, *names: str) -> dict[str, str]:
    """Return what such a bash finds on PATH by these names; an alias or a function of one is another check's."""
    script = "".join(f"printf 'is {name} %s\\n' \"$(type -P {name})\"; " for name in names)
    _, told = run("bash", flags, script, bare=True)
    lines = [line[3:] for line in told.splitlines() if line.startswith("is ")]
    return {name: where for name, _, where in (line.partition(" ") for line in lines)}


def _path_setter(here: Here) -> str:
    """Return the user's shell file that sets a PATH of its own, if there is one: it is the cause, not what it lacks."""
    for file, _, line in _lines_of(_startup_files(here)):
        if re.match(r"\s*(export\s+)?PATH=", line) and "$PATH" not in line:
            return str(file)
    return ""


@check(AGENT)
def shell_syntax(here: Here) -> Iterator[Finding]:
    """The user's shell files have no syntax error"""
    for name in (".bashrc", ".profile", ".bash_profile", ".bash_aliases"):
        file = here.home / name
        try:
            within.bytes_of(file)
        except OSError as error:
            if not error.errno:  # it is there, and shells wait for it
                yield Finding("shell-syntax", f"{file}: {error.strerror}", str(file))
            continue
        status, said = run("bash", "-n", str(file))
        if status:
            yield Finding("shell-syntax", f"{said.splitlines()[0] if said else file}"[:200], str(file))


@check(AGENT)
def aliases(here: Here) -> Iterator[Finding]:
    """No alias and no function has the name of a lane's command"""
    names = "|".join(re.escape(f"claude-{name}") for name in here.lanes) or "claude-"
    definition = re.compile(rf"^\s*(?:alias\s+({names})=|(?:function\s+)?({names})\s*\(\)|function\s+({names})\s)")
    for file, number, line in _shell_lines(here):
        found = definition.match(line)
        if found:
            what = "an alias" if found[1] else "a function"
            safe = _commented(here, file, number, line) if found[1] else {}
            name = found[1] or found[2] or found[3]
            yield Finding("alias-and-function", f"{file}, line {number}: {what}", str(file), safe, subjects=(name,))


@check(AGENT)
def variables(here: Here) -> Iterator[Finding]:
    """No shell file or running manager sets a variable that changes where requests go or who pays"""
    setting = re.compile(r"^\s*(?:export\s+|declare\s+-x\s+)?([A-Z_][A-Z0-9_]*)\s*=")
    told = set()
    for file, number, line in _shell_lines(here):
        found = setting.match(line)
        if found and decides(found[1]):
            told.add(found[1])
            symptom = SYMPTOM_OF.get(found[1], "stray-variable")
            safe = _commented(here, file, number, line)
            yield Finding(symptom, f"{file}, line {number}: {found[1]}", str(file), safe, subjects=(found[1],))
        elif found and found[1] in here.expected["kept_from_shells"]:
            seen = f"{file}, line {number}: {found[1]}"
            yield Finding("provider-key-in-clear", seen, str(file), subjects=(found[1],))
    _, manager = run("systemctl", "--user", "show-environment", timeout=5)
    running = {line.partition("=")[0] for line in manager.splitlines()}
    around: list[tuple[str, set[str], bool]] = [("the running user manager", running, True)]
    # In a lane's own shell the lane's variables are no surprise.
    if (here.asked_from or {}).get("SIGNALBOX_LANE", "") not in here.lanes:
        around.insert(0, ("the shell that this was called from", set(here.asked_from or {}) - running, False))
    for where, names, unset in around:
        for name in sorted(names - told):
            if decides(name):
                told.add(name)
                data = {"manager": name} if unset else {}
                symptom = SYMPTOM_OF.get(name, "stray-variable")
                yield Finding(symptom, f"{where} has {name}", data=data, subjects=(name,))


def _commented(here: Here, file: Path, number: int, line: str) -> dict[str, Any]:
    """Return what --fix needs to make a comment of the line; {} where that is not safe, or the file not the user's."""
    mine = file.is_relative_to(here.home) and os.access(file, os.W_OK)
    return {"line": number, "text": line} if mine and without(file, number, line) is not None else {}


def _shell_lines(here: Here) -> Iterator[tuple[Path, int, str]]:
    system = [path for pattern in SYSTEM for path in within.names_in(Path("/"), pattern.removeprefix("/"))]
    yield from _lines_of([*_startup_files(here), *system])


def _startup_files(here: Here) -> list[Path]:
    return [path for pattern in STARTUP for path in within.names_in(here.home, pattern)]


def _lines_of(files: list[Path]) -> Iterator[tuple[Path, int, str]]:
    for file in files:
        for number, line in enumerate((read(file) or "").splitlines(), start=1):
            yield file, number, line


@check(AGENT)
def settings_files(here: Here) -> Iterator[Finding]:
    """No settings file beats a lane, and plain claude bills its subscription"""
    managed = Path(here.expected["managed"])
    everywhere = [managed / "managed-settings.json", *within.names_in(managed, "managed-settings.d/*.json")]
    wanted = {name: value for lane in here.lanes.values() for name, value in lane["environment"].items()}
    for file in everywhere:
        yield from _settings(here, file, wanted, {}, lane=True)
    for lane in here.lanes.values():
        directory = Path(lane["environment"]["CLAUDE_CONFIG_DIR"])
        if directory == here.home / ".claude":
            continue
        more = {"effort": lane["effort"]}
        yield from _settings(here, directory / "settings.json", lane["environment"], more, lane=True)
    for name in ("settings.json", "settings.local.json"):
        yield from _settings(here, here.home / ".claude" / name, {}, {}, lane=False)


@check(AGENT, needs=("lane-records",))
def launchers_start(here: Here) -> Iterator[Finding]:
    """Nothing lies there for which a launcher would not start its lane"""
    told = {finding.path for finding in settings_files(here)}
    for name, lane in here.lanes.items():
        for source in of_lane(lane, here.expected["lanes"]):
            path = source.where.partition(", line ")[0]
            if source.beats and path not in told:
                told.add(path)
                symptom = "stored-login" if source.what.startswith("a stored") else "bypassed-gateway"
                yield Finding(symptom, f"claude-{name} does not start: {source}", path)
    for source in of_plain_claude(here.expected["lanes"], {}) if here.lanes else ():
        path = source.where.partition(", line ")[0]
        if source.beats and path not in told:
            told.add(path)
            yield Finding("stray-variable", f"of plain claude, {source}", path)


def _settings(here: Here, file: Path, wanted: dict[str, str], more: dict[str, Any], *, lane: bool) -> Iterator[Finding]:
    text = read(file)
    if text is None or not text.strip():
        return
    try:
        settings = parsed(text)
    except UnusableError as error:
        yield Finding("settings-not-json", f"{file} {error.what}{error.detail}", str(file))
        return
    # A pinned `model` does no harm: ANTHROPIC_MODEL, which every lane sets, beats it (Claude Code 2.1.329).
    for keys in deciding(settings, wanted, proxied=False):
        symptom = "bypassed-gateway" if lane else "stray-variable"
        if keys == ("apiKeyHelper",) and not lane:
            symptom = "billed-subscription"
        symptom = "beta-header" if keys[-1] == BETAS else SYMPTOM_OF.get(keys[-1], symptom)
        said = f"{file} sets {'.'.join(keys)}"
        yield Finding(symptom, said, str(file), _keys(here, file, *keys), subjects=keys[-1:])
    if lane and settings.get("effortLevel") in TOO_HIGH:
        said = f"{file} has the effort level {settings['effortLevel']}"
        value = {"value": more.get("effort", "high")}
        yield Finding("xhigh", said, str(file), {**_keys(here, file, "effortLevel"), **value})


def _keys(here: Here, file: Path, *keys: str) -> dict[str, Any]:
    """Return what --fix needs to take a key out of a settings file; {} where the file is not the user's."""
    mine = file.is_relative_to(here.home) and os.access(file.parent, os.W_OK)
    return {"keys": list(keys)} if mine else {}


@check(AGENT)
def lane_records(here: Here) -> Iterator[Finding]:
    """The launchers know their lanes, each with what its address needs"""
    if not here.lanes:
        return  # a host without launchers
    records = Path(here.expected["records"])
    text = read(records)
    try:
        lanes = json.loads(text or "")["lanes"]
    except (ValueError, KeyError, TypeError) as error:
        why = "cannot be read" if text is None else f"is damaged ({type(error).__name__})"
        yield Finding("lanes-unreadable", f"{records} {why}", str(records))
        return
    for name, lane in lanes.items():
        if lane["via"] == "gateway" and lane["environment"].get(BETAS) != "1":
            yield Finding("beta-header", f"the lane {name} does not set {BETAS}", str(records))


@check(AGENT)
def owners(here: Here) -> Iterator[Finding]:
    """Claude Code's and the lanes' files belong to their user"""
    me = os.geteuid()
    places = [here.home / ".config/signalbox", here.home / ".claude", here.home / ".claude.json"]
    places += [Path(lane["environment"]["CLAUDE_CONFIG_DIR"]) for lane in here.lanes.values()]
    for place in dict.fromkeys(places):
        # What a link leads to outside of the home is not this user's to have.
        real = Path(os.path.realpath(place))  # in a circle of links it ends where it began
        inside = place.is_dir() and os.access(place, os.R_OK) and real.is_relative_to(here.home.resolve())
        for file in [place, *(within.names_in(real) if inside else [])]:
            try:
                status = file.lstat()
            except OSError:
                continue
            if status.st_uid != me:
                alone = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
                safe = {"user": here.user} if alone and file.is_relative_to(here.home) else {}
                yield Finding("not-yours", f"{file} belongs to another user", str(file), safe)
