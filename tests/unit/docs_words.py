"""What pages say of commands, settings and files, and what of it is wrong."""

from __future__ import annotations

import ast
import difflib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import yaml

from signalbox import pins
from signalbox.commands.cli import cli
from signalbox.desired import symptoms
from signalbox.host.launcher.commands import COMMANDS
from signalbox.init.answers import AnswersError, read
from signalbox.init.questions import QUESTIONS
from signalbox.settings import Settings, SettingsError
from signalbox.settings.layers import defaults, merge
from signalbox.settings.pyinfra_keys import pyinfra_keys
from signalbox.settings.record_defaults import RECORDS
from signalbox.settings.sections import SECTION_NAMES
from tests.drills.drill import NAMES
from tests.good_settings import GOOD

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/guides/*.md", "docs/drills/README.md", "examples/*.md")
    for path in PROJECT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
_FOLDERS = ("signalbox", "tests", "docs", "templates", "tasks", "examples", "group_data", "scripts", "bench")
_FILE = re.compile(
    rf"(?<![\w./~-])(?:(?:{'|'.join(_FOLDERS)})/[\w./-]*\w|(?:deploy|remove|verify|inventory)\.py|Makefile)(?![\w<{{*])"
)
# What our commands or persons make in a clone.
_MADE = re.compile(r"group_data/(?!all\.py)[\w.]+")
_PROGRAM = re.compile(r"(?<![\w./~-])claude-[a-z]+(?:-[a-z]+)*(?![\w./@*<-])")
# Commands of a host that are no lane's launcher, and words that look like a command and are none.
_OTHERS = {"claude-code", "claude-secrets", "claude-hosts", "claude-code-linux-x64", "claude-vibe"}
_OURS = {"signalbox", "pyinfra", "python", "make"}
# Programs of others that pages show; nobody's misspelling of ours, and misspelt themselves they are none of these.
FOREIGN = {
    *("ansible-playbook", "apt", "apt-config", "apt-get", "cat", "cd", "chmod", "chown", "claude", "cosign", "crontab"),
    *("curl", "deluser", "docker", "dpkg", "du", "echo", "export", "find", "getent", "git", "grep", "install", "ip"),
    *(
        "journalctl",
        "litellm",
        "llama-server",
        "lms",
        "loginctl",
        "lynis",
        "modprobe",
        "nft",
        "nmap",
        "ollama",
        "op",
        "open-webui",
        "pass",
    ),
    *("runuser", "secret-tool", "sed", "sops", "source", "ss", "ssh", "ssh-add", "ssh-keygen", "sshd", "su", "sudo"),
    *("systemctl", "systemd-analyze", "systemd-creds", "tee", "terraform", "tmux", "umount", "userdel", "usermod"),
    *("age", "mkdir", "uv", "uvx", "vllm", "wsl"),
}
_OF_THE_GUIDE = {"claude-ollama", "claude-vllm", "claude-vibe"}  # lanes of ~/.claude-backends.env
_CLAUDES_OWN = {"-p", "--model", "--allowedTools", "--resume", "--continue", "--version", "--settings"}
_SUFFIX = re.compile(r"\.(py|md|json|service|socket|sock|yml|yaml|toml)$")


def code(page: str) -> Iterator[tuple[str, bool]]:
    """Yield inline code, and each command of blocks that show a terminal; whether it is one of those."""
    for language, block in re.findall(r"```(\w*)\n(.*?)```", page, re.S):
        lines = re.sub(r" \\\n\s*", " ", block).splitlines()
        if language == "console":
            prompt = re.compile(r"^\s*[\w@]*[$#] ")
            yield from ((prompt.sub("", line), True) for line in lines if prompt.match(line))
        elif not language:
            yield from ((line, True) for line in lines if re.match(r"(\.venv/bin/python|make) ", line))
    outside = re.sub(r"```.*?```", "", page, flags=re.S)
    yield from ((words, False) for words in re.findall(r"`([^`\n]+)`", outside))


def problems(words: str, shown: bool) -> Iterator[str]:
    """Yield what is wrong with a piece of code. shown: it is a line at a terminal, so its first word is a program."""
    words = re.split(r"\s+#(?:\s|$)", words)[0].strip()
    for part in re.split(r"\s*(?:&&|\||;)\s+", words):
        yield from _line(part, shown)
    for name in _PROGRAM.findall(words):
        yield from _known_program(name)
    name = words.split(" = ")[0]
    if re.fullmatch(r"[a-z_]+(?:\.(?:[\w-]+|<\w+>))+", name) and not _SUFFIX.search(name):
        yield from setting(name)
    elif re.fullmatch(r"[a-z]+_[a-z_]+", name):
        yield from _top_level(name)
    if re.fullmatch(r"[a-z]+(-[a-z]+)+", words) and (close := _close(words, _of_hosts(), 0.9)):
        yield f"there is no program {words}; {close}?"
    for path in _FILE.findall(words):
        yield from file(path)
    if (found := re.fullmatch(r"([a-z_]+)/[\w./-]*\w", words)) and (close := _close(found[1], set(_FOLDERS), 0.85)):
        yield f"there is no folder {found[1]}; {close}?"


def _line(line: str, shown: bool) -> Iterator[str]:
    """Yield what is wrong with one command."""
    words = re.findall(r"'[^']*'|\"[^\"]*\"|\S+", line)
    while words and re.match(r"\w+=", words[0]):  # variables before the command
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words, shown = words[2:], True
    if not words:
        return
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program in _COMMANDS:
        yield from _COMMANDS[program](rest)
    elif program.startswith("claude-"):
        yield from _on_host(program, rest)
    elif shown and program not in FOREIGN and not re.match(r"[./~<\[{]|claude@", program):
        yield f"there is no program {program}"
    elif rest[:1] == ["claude-switch"]:
        yield from () if program == "source" else [f"claude-switch is sourced, not {program}"]
        yield from _on_host("claude-switch", rest[1:])
    elif rest and not shown and re.fullmatch(r"[a-z-]+", program) and (close := _close(program, _OURS | _of_hosts())):
        yield f"there is no program {program}; {close}?"
    elif line.startswith("--data "):
        yield from _data(rest[0])


def _close(word: str, known: set[str], cutoff: float = 0.8) -> str:
    found = difflib.get_close_matches(word, known - {word}, n=1, cutoff=cutoff)
    return found[0] if found and word not in known | FOREIGN else ""


def _signalbox(words: list[str]) -> Iterator[str]:
    command: click.Command = cli
    for word in words:
        name = word.strip("[](),;:.…").split("=")[0]
        if word == ">":
            return
        if name.startswith("-") and name != "-":
            yield from _option(command, name)
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", name):
            found = command.get_command(click.Context(command), name)
            if found is None:
                yield f"{command.name} has no command {name}"
                return
            command = found
        elif command.name == "upgrade" and "=" in word and name not in pins.NAMES:
            yield f"there is no pin {name}"
        elif re.fullmatch(r"[\w/]+\.py", name) and not _MADE.fullmatch(name):
            yield from file(name)
    for word, after in pairwise(words):
        if word == "--data":
            yield from _data(after)


def _pyinfra(words: list[str]) -> Iterator[str]:
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if re.match(r"--?[a-z]", word) and not re.search(rf"{word.split('=')[0]}\b", _help("pyinfra")):
            yield f"pyinfra has no option {word}"
        elif word.endswith(".py"):
            yield from file(word)
        if word == "--data" and after:
            yield from _data(after)


def _option(command: click.Command, name: str) -> Iterator[str]:
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    if name not in known:
        yield f"{command.name} has no option {name}"


def _data(given: str) -> Iterator[str]:
    name = given.split("=")[0]
    if "." in name:
        yield from setting(name)
    elif name not in defaults() and name not in pyinfra_keys():
        yield f"there is no setting {name}"


@cache
def _help(module: str) -> str:
    words = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout if done.returncode == 0 else ""


def _python(words: list[str]) -> Iterator[str]:
    if words[:1] != ["-m"] or len(words) < 2:
        return
    try:
        found = find_spec(words[1])
    except ModuleNotFoundError:
        found = None
    if found is None:
        yield f"there is no module {words[1]}"
        return
    for word in words[2:]:
        if word.startswith("--") and word not in _help(words[1]):
            yield f"{words[1]} has no option {word}"
        elif close := _close(word, set(_FOLDERS), 0.85):
            yield f"there is no folder {word}; {close}?"
        elif words[1] == "tests.drills" and re.fullmatch(r"[a-z]+", word) and words[2] == word and word not in NAMES:
            yield f"there is no drill {word}"


def _make(words: list[str]) -> Iterator[str]:
    text = (PROJECT / "Makefile").read_text()
    for word in words:
        name, value, _ = word.partition("=")
        if value and f"$({name})" not in text:
            yield f"the Makefile has no {name}"
        elif not value and name not in re.findall(r"^([a-z]+):", text, re.M):
            yield f"make has no target {name}"


_COMMANDS: dict[str, Callable[[list[str]], Iterator[str]]] = {
    "signalbox": _signalbox,
    "pyinfra": _pyinfra,
    "python": _python,
    "make": _make,
}


def _known_program(name: str) -> Iterator[str]:
    models = any(name.startswith(f"claude-{family}-") for family in ("sonnet", "opus", "haiku", "fable"))
    shorts = {f"claude-{family}" for family in ("sonnet", "opus", "haiku")}
    known = _of_hosts() | _OTHERS | shorts | set(symptoms.known())
    if name not in known and not models:
        yield f"there is no program {name}"


def _of_hosts() -> set[str]:
    return _lanes() | {f"claude-{each}" for each in (*COMMANDS, "doctor")}


def _lanes() -> set[str]:
    return {f"claude-{name}" for name in defaults()["lanes"]} | {"claude-foundry"}


@cache
def _source(program: str) -> str:
    """Return the source of a host's command, which has its options and words as literals."""
    name = program.removeprefix("claude-")
    if name == "doctor":
        return (PROJECT / "signalbox/host/doctor/command.py").read_text()
    modules = [COMMANDS[name].__module__.rpartition(".")[2] if name in COMMANDS else "lane", "commands"]
    modules += ["snippets", "conversation"] if name == "switch" else []
    return "".join((PROJECT / f"signalbox/host/launcher/{module}.py").read_text() for module in modules)


def _on_host(program: str, words: list[str]) -> Iterator[str]:
    """Yield what is wrong with a command of a host: its options and its own words are in its parser."""
    source = _source(program)
    lane = program in _lanes()
    for number, word in enumerate(words):
        name = word.strip("[]").split("=")[0]
        if name == "--":
            return
        if name.startswith("-") and f'"{name}"' not in source and not re.fullmatch(r"-\d+", name):
            if not lane or name not in _CLAUDES_OWN:
                yield f"{program} has no option {name}"
        elif program == "claude-switch" and re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
            if f"claude-{name}" not in _lanes() | _OF_THE_GUIDE and f'"{name}"' not in source:
                yield f"{program} knows no {name}"
        elif program == "claude-session" and number == 0 and len(words) > 1 and words[1][0] != "-" and name.islower():
            yield from () if f'"{name}"' in source else [f"{program} knows no {name}"]


def setting(text: str) -> Iterator[str]:
    """Yield what is wrong with a setting's dotted name."""
    section, *path = text.split(".")
    if section not in SECTION_NAMES and section != "defaults":
        if close := _close(section, set(SECTION_NAMES) | {"pins"}):
            yield f"{text}: there is no section {section}; {close}?"
        return
    data: Any = defaults()[section]
    if section in RECORDS:
        record, _, model = RECORDS[section]
        if len(path) > 1 and path[1] not in record.model_fields:
            yield f"{text}: {section} have no {path[1]}"
        if len(path) > 3 and model and path[3] not in model.model_fields:
            yield f"{text}: models of {section} have no {path[3]}"
        return
    for part in path:
        if not isinstance(data, dict):
            yield f"{text}: nothing is below"
            return
        if part not in data:
            if data and "." not in "".join(data):
                yield f"{text}: there is no {part}"
            return
        data = data[part]


@cache
def _words_of_settings() -> frozenset[str]:
    def keys(data: Any) -> Iterator[str]:
        for key, value in data.items() if isinstance(data, dict) else ():
            yield key
            yield from keys(value)

    kinds = [each for record, _, model in RECORDS.values() for each in (record, model) if each]
    fields = {name for each in kinds for name in each.model_fields}
    return frozenset({*keys(defaults()), *fields, *(question.id for question in QUESTIONS), "of_service_user"})


def _top_level(name: str) -> Iterator[str]:
    known = set(defaults()) | {each for each in pyinfra_keys() if each.startswith("ssh_")}
    if name not in known | _words_of_settings() and (close := _close(name, known, 0.85)):
        yield f"there is no setting {name}; {close}?"


def file(path: str) -> Iterator[str]:
    """Yield what is wrong with a path of this project."""
    if not (_MADE.fullmatch(path) or (PROJECT / path).exists() or list(PROJECT.glob(f"{path}*"))):
        yield f"there is no file {path}"


def links(page: str, at: Path) -> Iterator[str]:
    """Yield what is wrong with the links and pictures of a page."""
    for text in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page):
        path, _, anchor = text.partition("#")
        there = (at.parent / path) if path else at
        if not there.exists() and not (there.parent.name == "drills" and there.stem in NAMES):  # which a run writes
            yield f"the link {text} leads nowhere"
        elif anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.M)
            if anchor not in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}:
                yield f"the link {text}: no such heading"


def in_python(block: str) -> Iterator[str]:
    """Yield what is said of settings of a block that no settings have."""
    data: dict[str, Any] = {}
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            data[statement.targets[0].id] = ast.literal_eval(statement.value)
    for name, value in data.items():
        group = isinstance(value, list | tuple) and name not in defaults()
        if name not in defaults() and name not in pyinfra_keys() and not group:
            yield f"{name}: unknown setting"
        for entry in value if group else ():
            beside = entry[1] if isinstance(entry, tuple) else {}
            yield from in_python("\n".join(f"{key} = {each!r}" for key, each in beside.items()))
    data = {name: value for name, value in data.items() if name in SECTION_NAMES}
    try:
        Settings.from_layers([("all", merge(merge(defaults(), GOOD), data))], host="192.168.1.10")
    except SettingsError as error:
        yield from (line for line in error.lines if "unknown setting" in line or "unknown key" in line)


def in_yaml(block: str, place: Path) -> Iterator[str]:
    """Yield what is wrong with a file of answers."""
    file = place / "answers.yaml"
    file.write_text(block)
    ids = {question.id for question in QUESTIONS}
    if len(ids & set(yaml.safe_load(block) or ())) > 2:
        try:
            read(file, QUESTIONS)
        except AnswersError as error:
            yield str(error)
