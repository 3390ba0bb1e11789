"""NAME=value lines, as shells export them and systemd reads them, and what else a decrypted file may hold."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from signalbox.secrets.secret import Secret, SecretError

_LINE = re.compile(r"(?:export\s+)?(\w+)=(.*)")


def assignments(text: str, what: str) -> dict[str, Secret]:
    """The secrets of NAME=value lines; quotes as in a shell, `export` in front, `#` comments and blank lines allowed.

    Raises:
        SecretError: with the number of a line that is none; the line itself is not repeated.
    """
    found: dict[str, Secret] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _LINE.fullmatch(line.strip())
        try:
            words = shlex.split(assignment[2], comments=False) if assignment else []
        except ValueError:
            words = ["", ""]
        if assignment is None or len(words) > 1:
            raise SecretError(f"{what}: line {number} is not NAME=value; quote a value that has spaces or quotes")
        if assignment[1] in found:
            raise SecretError(f"{what}: {assignment[1]} is there twice (again in line {number}); take one line out")
        found[assignment[1]] = Secret(words[0] if words else "")
    return found


def secrets_of(text: str, what: str) -> dict[str, Secret]:
    """The secrets of a decrypted file: JSON or YAML with texts by name, or NAME=value lines.

    Raises:
        SecretError: it is none of these; nothing of it is repeated.
    """
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    if _LINE.fullmatch(first.strip()):
        return assignments(text, what)
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Texts)  # noqa: S506 (safe)
    except (ValueError, yaml.YAMLError):
        raise SecretError(f"{what}: what it holds is neither YAML, JSON nor NAME=value lines") from None
    return of_mapping(data, what)


def of_mapping(data: Any, what: str) -> dict[str, Secret]:
    """The texts of a dict by name; other values, such as sections, are left out.

    Raises:
        SecretError: it is no dict.
    """
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise SecretError(f"{what}: what it holds is no list of names with values")
    return {str(name): Secret(value) for name, value in data.items() if isinstance(value, str)}


def read_text(path: Path) -> str:
    """A file of text.

    Raises:
        SecretError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SecretError(f"{path}: is no text") from None
    except OSError as error:
        raise SecretError(f"{path}: cannot be read ({error.strerror})") from None


class _Texts(yaml.BaseLoader):
    """Every value as the text it was written as: a PIN such as 0042 is no number."""
