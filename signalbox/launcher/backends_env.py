"""~/.claude-backends.env: the servers that a person has written down for claude-switch, in the names people know.

{LOCAL,OLLAMA,VLLM,VIBE}_{BASE_URL,AUTH_TOKEN,MODEL,MODEL_NAME}; VIBE_API_KEY_FILE holds a key, and
VIBE_API_AVAILABLE=false says that there is none. It is read, never run; CLAUDE_BACKENDS_CONFIG names another file.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

from .records import Lane
from .speak import EX_CONFIG, fail

NAMES = ("local", "ollama", "vllm", "vibe")
SLOTS = ("OPUS", "SONNET", "HAIKU", "FABLE")
LINE = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")


def path() -> Path:
    """Return the file's path, whether it is there or not."""
    return Path(os.environ.get("CLAUDE_BACKENDS_CONFIG") or Path.home() / ".claude-backends.env")


def read() -> dict[str, str]:
    """Return the file's variables; none when there is no file."""
    try:
        mode = stat.S_IMODE(path().stat().st_mode)
        lines = path().read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fail(EX_CONFIG, f"{path()} cannot be read ({error})")
    if mode & 0o077:
        fail(EX_CONFIG, f"others may read {path()}, which holds keys; chmod 600 {path()}")
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = LINE.match(line)
        if not found:
            if line.strip() and not line.lstrip().startswith("#"):
                fail(EX_CONFIG, f"{path()}, line {number}: this is no NAME=value")
            continue
        try:
            words = shlex.split(found[2], comments=True)
        except ValueError as error:
            fail(EX_CONFIG, f"{path()}, line {number}: {error}")
        if len(words) > 1 or "$(" in found[2] or "`" in found[2]:
            fail(EX_CONFIG, f"{path()}, line {number}: a value is one word, and nothing in it is run")
        variables[found[1]] = os.path.expandvars(words[0]) if words else ""
    return variables


def lanes() -> dict[str, Lane]:
    """Return a lane for each server that the file has a BASE_URL for."""
    variables = read()
    return {name: _lane(name, variables) for name in NAMES if variables.get(f"{name.upper()}_BASE_URL")}


def missing(name: str) -> str | None:
    """Return what to write for a server that people know by this name; None for any other name."""
    if name not in NAMES:
        return None
    prefix = name.upper()
    wanted = f"{prefix}_BASE_URL=http://…, {prefix}_AUTH_TOKEN=…, {prefix}_MODEL=…"
    return f"there is no lane {name} on this host; write {wanted} into {path()} (chmod 600), or deploy a lane {name}"


def _lane(name: str, variables: dict[str, str]) -> Lane:
    prefix = name.upper()
    url, model = variables[f"{prefix}_BASE_URL"].rstrip("/"), variables.get(f"{prefix}_MODEL")
    if not model:
        fail(EX_CONFIG, f"{path()}: {prefix}_MODEL is missing, and Claude Code would ask for a model of Anthropic's")
    key_file = variables.get(f"{prefix}_API_KEY_FILE")
    directory = f"{Path.home()}/.claude-{name}"
    return {
        "via": "direct",
        "models": {"main": model},
        "environment": {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_CONFIG_DIR": f"{directory}/anthropic",
            "ANTHROPIC_CUSTOM_MODEL_OPTION": model,
            "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME": variables.get(f"{prefix}_MODEL_NAME") or model,
            "ANTHROPIC_MODEL": model,
            **{f"ANTHROPIC_DEFAULT_{slot}_MODEL": model for slot in SLOTS},
            "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
            "CLAUDE_CONFIG_DIR": directory,
        },
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
        "context": None,
        "servers": {},
        "status_line": None,
    }
