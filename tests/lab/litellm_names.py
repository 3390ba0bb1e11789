"""What stubs/ say of LiteLLM and of what it brings along, compared with an installed one by its own Python."""

from __future__ import annotations

import ast
import json
from pathlib import Path

STUBS = Path(__file__).resolve().parents[2] / "stubs"

# Runs where LiteLLM is, with the names that are looked for as its argument; prints a line for each that is otherwise.
COMPARE = r"""
import importlib, inspect, json, sys

def parameters(of):
    try:
        return list(inspect.signature(of).parameters.values())
    except (TypeError, ValueError):
        return []

def compare(where, owner, name, wanted):
    found = getattr(owner, name, None)
    if found is None and not (inspect.isclass(owner) and f"self.{name}" in inspect.getsource(owner)):
        if not hasattr(owner, name):
            print(f"{where} is not there")
        return
    if isinstance(wanted, dict):
        for member, its in wanted.items():
            compare(f"{where}.{member}", found, member, its)
    elif wanted is not None:
        there = [each for each in parameters(found) if each.name != "self"]
        names = [each.name for each in there if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        takes_any = any(each.kind is each.VAR_KEYWORD for each in there)
        needed = [each.name for each in there if each.name in names and each.default is each.empty]
        hook = inspect.isclass(owner) and not name.startswith("__")  # which LiteLLM calls
        lacking = [each for each in wanted if each not in names and not takes_any]
        unsaid = [each for each in (names if hook else needed) if each not in wanted]
        if lacking or unsaid:
            print(f"{where} takes ({', '.join(names)}), and stubs/ say ({', '.join(wanted)})")

for module, names in json.loads(sys.argv[1]).items():
    try:
        there = importlib.import_module(module)
    except ImportError as error:
        print(f"{module} cannot be imported: {error}")
        continue
    for name, wanted in names.items():
        compare(f"{module}.{name}", there, name, wanted)
"""

Wanted = dict[str, "Wanted"] | list[str] | None  # members of a class; parameters of a function; None: it is there


def relied_on(stubs: Path = STUBS) -> dict[str, dict[str, Wanted]]:
    """Return, by module, the names that the stubs have, and what is wanted of each."""
    found = {}
    for file in sorted(stubs.rglob("*.pyi")):
        module = ".".join(file.relative_to(stubs).with_suffix("").parts).removesuffix(".__init__")
        if names := _names(ast.parse(file.read_text()).body):
            found[module] = names
    return found


def _names(body: list[ast.stmt]) -> dict[str, Wanted]:
    found: dict[str, Wanted] = {}
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=members):
                found[name] = _names(members)
            case ast.FunctionDef(name=name, args=args) | ast.AsyncFunctionDef(name=name, args=args):
                found[name] = [each.arg for each in (*args.args, *args.kwonlyargs) if each.arg != "self"]
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = None
    return found


def command(python: str) -> list[str]:
    """Return the command that compares, with this Python."""
    return [python, "-c", COMPARE, json.dumps(relied_on())]
