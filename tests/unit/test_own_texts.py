"""What people report, and all that our own programs print to a person, is known to `claude-doctor --explain`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.desired import symptoms
from signalbox.host.doctor.symptoms import explain

PROJECT = Path(__file__).resolve().parents[2]
REPORTED: list[dict[str, Any]] = [
    row
    for name in (
        "error_texts.yaml",
        "error_texts_later.yaml",
        "error_texts_second.yaml",
        "error_texts_third.yaml",
        "error_texts_fourth.yaml",
        "error_texts_fifth.yaml",
    )
    for row in yaml.safe_load(Path(__file__).with_name(name).read_text())
]
HOST = PROJECT / "signalbox/host"
FOLDERS = ("launcher", "doctor", "gateway", "shared")
PROGRAMS = [file for folder in FOLDERS for file in sorted((HOST / folder).glob("*.py"))]
SPEAKS = {"fail", "say", "Trouble", "unavailable", "HTTPException", "RefusedError"}
COMMANDS = {file.stem for folder in ("launcher", "shared") for file in (HOST / folder).glob("*.py")}
SHORT = 14  # characters beside what is filled in: less is a piece of a text, and told within one
# For developers, or read by programs: nobody is shown these.
UNSEEN = (
    "too many findings",
    "a finding has a path and data",
    "a finding of another check",
    "no words, or too many",
    "it told of a symptom that there is not",
    "it told of what is not its own",
)


def told_by(file: Path) -> Iterator[str]:
    """Yield the texts that a program says, fails or answers with; X stands where it fills something in."""
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    yield from texts(constants["WORDS"], tree, constants) if "WORDS" in constants else ()
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)):
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords) if (
                    name in SPEAKS
                ):
                    spoken = [*args, *(each.value for each in keywords)]
                case ast.Call(func=ast.Name(id="Source"), args=[what, _, cure]):
                    said = [texts(each, function, constants) or ["X"] for each in (what, cure)]
                    yield from (f"X: {one}; {other}" for one in said[0] for other in said[1])
                    continue
                case ast.Call(func=ast.Name(id="print"), args=args) if file.parent.name == "gateway":
                    spoken = args
                case ast.Call(func=ast.Attribute(attr="format")) if file.parent.name == "gateway":
                    spoken = [node]
                case ast.Raise(exc=ast.Call(args=args)):
                    spoken = args
                case ast.Yield(value=ast.expr() as value) if file.stem in ("context", "probes"):
                    spoken = [value]
                case _:
                    continue
            for each in spoken:
                yield from texts(each, function, constants)


def texts(node: ast.expr, function: ast.AST, constants: dict[str, ast.expr], depth: int = 4) -> list[str]:
    """Return what an expression may be, as far as it is written down there."""

    def of(inner: ast.expr) -> list[str]:
        return texts(inner, function, constants, depth - 1) if depth else []

    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(each.value if isinstance(each, ast.Constant) else "X" for each in values)]  # type: ignore[misc]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [before + after for before in of(left) or ["X"] for after in of(right) or ["X"]]
        case ast.IfExp(body=body, orelse=orelse):
            return [*of(body), *of(orelse)]
        case ast.Dict(values=parts):
            return [text for each in parts for text in of(each)]
        case ast.Subscript(value=ast.Name(id=name)) if name in constants:
            return of(constants[name])
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
            return [text for each in parts for text in of(each)]
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return of(value)
        case ast.Name(id=name):
            local = [each.value for each in ast.walk(function) if _sets(each, name)]  # type: ignore[attr-defined]
            return [text for each in local or [constants[each] for each in (name,) if each in constants]
                    for text in of(each)]  # fmt: skip
    return []


def _sets(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(each, ast.Name) and each.id == name for each in targets)


def whole(text: str) -> bool:
    """Whether it is a text of its own, and neither a piece of one, nor an address, nor a command's whole help."""
    helps = text.startswith("claude-") and "\n\n" in text
    return len(text.replace("X", "")) >= SHORT and " " in text and not helps and text not in UNSEEN


OWN = sorted({(file.stem, text) for file in PROGRAMS for text in told_by(file) if whole(text)})


@pytest.mark.parametrize(("program", "text"), OWN)
def test_what_a_program_of_ours_prints_has_a_row(program: str, text: str) -> None:
    said = f"claude-{program}: {text}" if program in COMMANDS else text
    assert explain(said, symptoms.known()), f"no row of symptoms.yaml has this text of {program}.py"


def test_the_texts_are_found_in_the_programs() -> None:
    assert len(OWN) > 80
    assert ("probes", "the model server does not answer at X (X); start it there") in OWN
    assert any("is loaded with X tokens" in text for _, text in OWN)
    assert any(program == "error_messages" and "it was changed" in text for program, text in OWN)
    assert any(program == "failover" and "is left out: X" in text for program, text in OWN)


@pytest.mark.parametrize("row", REPORTED, ids=[row["text"][:60] for row in REPORTED])
def test_what_people_report_finds_its_row_or_none(row: dict[str, Any]) -> None:
    found = [symptom.id for symptom in explain(row["text"], symptoms.known())]
    assert found[:1] == ([row["row"]] if row["row"] else []), found


def test_the_texts_have_their_sources() -> None:
    public = [row for row in REPORTED if row["source"].startswith("https://")]
    assert len(public) >= len(REPORTED) / 2
    assert len({row["text"] for row in REPORTED}) == len(REPORTED)
