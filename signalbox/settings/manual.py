"""docs/settings.md, made from group_data/all.py: `python -m signalbox.settings.manual > docs/settings.md`."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from signalbox.settings.layers import DEFAULTS

_INTRODUCTION = """\
# Settings

Made from [group_data/all.py](../group_data/all.py), the one home of every setting and its default.
Write only what differs, for all hosts, for a group or for one host:

| layer | where | example |
| --- | --- | --- |
| all | `group_data/all.py` | `gateway = {"port": 4001}` |
| group | `group_data/<group>.py`, the group being a list in `inventory.py` | `gateway = {"port": 4001}` |
| host | beside the host in `inventory.py` | `("192.168.1.10", {"gateway": {"port": 4001}})` |
| command line | `signalbox deploy --data` | `--data gateway.port=4001` |

Later layers win. Sections merge key by key, lists and single values are replaced whole. A record, a task or a lane
that is not wanted is switched off with `"enabled": False`. `signalbox settings --limit NAME` shows what a
host gets, and from where; `signalbox settings --explain` tells this page where you are.

All hosts of a run are checked before any is connected to, and every mistake is told at once:
`box1: backends.lmstudio.models.local.context_length: 8192 is below the 32768 that Claude Code needs; load the model
with at least 32768`.

Secrets are never settings: settings hold their *names*, such as `ANTHROPIC_DIRECT_KEY`, and `secrets.source` says where
the values are: by default in environment variables of these names on the machine that runs pyinfra, where
`ANTHROPIC_DIRECT_KEY__BOX1` goes before for the host `box1`. [secrets.md](secrets.md) says what else there is.
"""


_SWITCH = "False: not wanted; what it had placed goes from the host"


@dataclass(frozen=True)
class Setting:
    """A line of group_data/all.py: a dotted path, the default as written, and what its comment says."""

    path: str
    default: str
    meaning: str


def settings(source: str) -> Iterator[Setting | str]:
    """The settings in order, with the titles (`# ---- title ----`) between them."""
    comments, titles = _comments(source)
    for statement in ast.parse(source).body:
        for line in sorted(line for line in titles if line < statement.lineno):
            yield titles.pop(line)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield from _walk(source, statement.targets[0].id, statement.value, statement.lineno, comments)


def manual(source: str) -> str:
    """The whole page, in Markdown."""
    lines = [_INTRODUCTION]
    for each in settings(source):
        if isinstance(each, str):
            lines += [
                "",
                f"## {each[0].upper()}{each[1:]}",
                "",
                "| setting | default | meaning |",
                "| --- | --- | --- |",
            ]
        else:
            default = f"`{each.default}`" if each.default else ""
            lines.append(f"| `{each.path}` | {_cell(default)} | {_cell(each.meaning)} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _walk(source: str, path: str, value: ast.expr, line: int, comments: dict[int, str]) -> Iterator[Setting]:
    if isinstance(value, ast.Dict) and value.keys and value.end_lineno != value.lineno:
        if line in comments:
            yield Setting(path, "", comments[line])
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                yield from _walk(source, f"{path}.{key.value!s}", item, key.lineno, comments)
    else:
        default = ast.get_source_segment(source, value) or ""
        if "\n" in default:  # with comments of its own lines
            default = json.dumps(ast.literal_eval(value))
        meaning = comments.get(line) or (_SWITCH if path.endswith(".enabled") else "")
        yield Setting(path, default, meaning)


def _comments(source: str) -> tuple[dict[int, str], dict[int, str]]:
    comments: dict[int, str] = {}
    titles: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ").strip()
            if text.startswith("----"):
                titles[token.start[0]] = text.strip("- ")
            else:
                comments[token.start[0]] = text
    return comments, titles


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if not text.startswith("`") else text.replace("|", "\\|")


if __name__ == "__main__":
    print(manual(DEFAULTS.read_text(encoding="utf-8")), end="")
