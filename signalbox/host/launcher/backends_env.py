"""~/.claude-backends.env: the servers that a person has written down for claude-switch, in the names people know.

{LOCAL,OLLAMA,VLLM,VIBE}_{BASE_URL,AUTH_TOKEN,MODEL,MODEL_NAME}; VIBE_API_KEY_FILE holds a key, and
VIBE_API_AVAILABLE=false says that there is none. {…}_CONTEXT_LENGTH, which is ours, tells how many tokens of context
the model has loaded. It is read, never run; CLAUDE_BACKENDS_CONFIG names another file.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from ..shared import claude_environment, within
from ..shared.output import EX_CONFIG, fail, say
from .records import Lane

NAMES = ("local", "ollama", "vllm", "vibe")
LINE = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")
QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\\$""")
MASK = "\0"  # a $ that a shell takes as it stands
OUTPUT = 4096  # tokens of an answer: Claude Code's own 32000 would not fit beside a prompt


class FileError(Exception):
    """The file is not right; what is wrong with it, and where."""


def path() -> Path:
    """Return the file's path, whether it is there or not."""
    return Path(os.environ.get("CLAUDE_BACKENDS_CONFIG") or Path.home() / ".claude-backends.env")


def read() -> dict[str, str]:
    """Return the file's variables; none when there is no file. Raises FileError."""
    try:
        mode = stat.S_IMODE(path().stat().st_mode)
        lines = within.bytes_of(path()).decode().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FileError(f"{path()} cannot be read ({error})") from error
    if mode & 0o077:
        raise FileError(f"others may read {path()}, which holds keys; chmod 600 {path()}")
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = LINE.match(line)
        if not found:
            if line.strip() and not line.lstrip().startswith("#"):
                raise FileError(f"{path()}, line {number}: this is no NAME=value")
            continue
        try:
            variables[found[1]] = _value(found[2], {**os.environ, **variables})
        except ValueError as error:
            raise FileError(f"{path()}, line {number}: {error}") from error
    return variables


def _value(text: str, known: Mapping[str, str]) -> str:
    """Return what a shell would make of the value, without running anything. Raises ValueError."""
    masked = QUOTED.sub(lambda part: part[0].replace("$" if part[0][0] == "'" else "\\$", MASK), text)
    words = shlex.split(masked, comments=True)
    if len(words) > 1 or "$(" in masked or "`" in masked:
        raise ValueError("a value is one word, and nothing in it is run")
    try:
        return Template(words[0] if words else "").substitute(known).replace(MASK, "$")
    except KeyError as error:
        raise ValueError(f"${error.args[0]} is set neither above nor in the environment") from error
    except ValueError as error:
        raise ValueError("of variables, $NAME and ${NAME} are read; write '…' around a $ that is meant") from error


def with_lanes(records: dict[str, Any], wanted: str | None = None) -> dict[str, Any]:
    """Return the records with the file's servers as lanes; those of the host go before.

    wanted: the one lane that this is about, None: all. A file that is not right ends everything where the lane would be
    in it; else it is left out, with a word.
    """
    if wanted is not None and (wanted in records["lanes"] or wanted not in NAMES):
        return records
    own: dict[str, Lane] = {}
    try:
        own = lanes(records["silence_seconds"])
    except FileError as error:
        if wanted:
            fail(EX_CONFIG, str(error))
        say(f"its servers are left out: {error}")
    for lane in own.values():
        lane["settings"] |= records["settings"] | records["judged"]
    return {**records, "lanes": {**records["lanes"], **{k: v for k, v in own.items() if k not in records["lanes"]}}}


def lanes(patience: int) -> dict[str, Lane]:
    """Return a lane for each server that the file has a BASE_URL for. Raises FileError.

    patience: seconds for which such a server may say nothing.
    """
    variables = read()
    return {name: _lane(name, variables, patience) for name in NAMES if variables.get(f"{name.upper()}_BASE_URL")}


def missing(name: str) -> str | None:
    """Return what to write for a server that people know by this name; None for any other name."""
    if name not in NAMES:
        return None
    prefix = name.upper()
    wanted = f"{prefix}_BASE_URL=http://…, {prefix}_AUTH_TOKEN=…, {prefix}_MODEL=…"
    return f"there is no lane {name} on this host; write {wanted} into {path()} (chmod 600), or deploy a lane {name}"


def _lane(name: str, variables: dict[str, str], patience: int) -> Lane:
    prefix = name.upper()
    url, model = variables[f"{prefix}_BASE_URL"].rstrip("/"), variables.get(f"{prefix}_MODEL")
    if url.endswith("/v1"):
        raise FileError(f"{path()}: {prefix}_BASE_URL ends in /v1, which Claude Code adds itself; write it without")
    if not model:
        raise FileError(f"{path()}: {prefix}_MODEL is missing, and Claude Code would ask for a model of Anthropic's")
    context = variables.get(f"{prefix}_CONTEXT_LENGTH")
    if context and not re.fullmatch(r"[1-9][0-9]{3,7}", context):
        raise FileError(f"{path()}: {prefix}_CONTEXT_LENGTH is how many tokens are loaded, such as 65536")
    key_file = variables.get(f"{prefix}_API_KEY_FILE")
    return {
        "via": "direct",
        "models": {"main": model},
        "environment": claude_environment.of_one_server(
            url,
            f"{Path.home()}/.claude-{name}",
            model,
            variables.get(f"{prefix}_MODEL_NAME") or model,
            window=(int(context), OUTPUT) if context else None,
            patience=patience,
        ),
        "goes_to": url,
        "key": None if key_file else variables.get(f"{prefix}_AUTH_TOKEN"),
        "key_file": os.path.expanduser(key_file) if key_file else None,
        "key_variable": "ANTHROPIC_AUTH_TOKEN",
        "available": variables.get(f"{prefix}_API_AVAILABLE", "true").lower() not in ("false", "0", "no"),
        # A server that bills is asked for one token before it is used: a key that is spent shows only then.
        "preflight": name == "vibe",
        "billed": f"whoever pays for {url}",
        "private": False,
        "effort": "high",
        "context": int(context) if context else None,
        "servers": {},
        "permission_mode": "default",
        "settings": {"disableAutoMode": "disable", "permissions.defaultMode": "default"},
    }
