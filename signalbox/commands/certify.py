"""`signalbox certify`: can this model and server drive Claude Code?"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import NoReturn

import click

from signalbox.backends import backend_kind
from signalbox.backends.records import Backend, BackendModel
from signalbox.certify import agent as claude_code
from signalbox.certify import version as claude_version
from signalbox.certify.checks import FAILED as ROW_FAILED
from signalbox.certify.checks import Row, Target, rows
from signalbox.certify.report import Report
from signalbox.certify.server import Server
from signalbox.commands.options import host_options, read_layers
from signalbox.console import FAILED, OK, Failure, json_option, note, print_json, print_table, working
from signalbox.pins.npm import client
from signalbox.secrets import SecretError
from signalbox.settings import Settings, SettingsError

_FETCHING = 900  # seconds for a version of Claude Code, some 100 MB
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}  # npm's names


@click.command()
@click.argument("backend", required=False)
@host_options
@click.option("--model", metavar="NAME", help="Which of the backend's models; may be left out if it has one.")
@click.option("--quantisation", metavar="WORDS", help="Such as Q4_K_M.  [default: what the server tells]")
@click.option("--server-version", metavar="WORDS", help="Such as 0.4.18.  [default: what the server tells]")
@click.option("--agent", is_flag=True, help="Also let Claude Code work, with its tools, on THIS machine as you.")
@click.option(
    "--claude",
    metavar="PATH|VERSION",
    help="Claude Code's program, for --agent [default: claude on PATH]; without BACKEND: what is tried.",
)
@click.option("--patience", type=click.IntRange(5, 7200), default=600, show_default=True, help="Seconds a request.")
@json_option
def certify(
    backend: str | None,
    inventory: Path | None,
    host: str | None,
    model: str | None,
    quantisation: str | None,
    server_version: str | None,
    agent: bool,
    claude: str | None,
    patience: int,
    as_json: bool,
) -> None:
    """Ask a model server what Claude Code will ask of it: does BACKEND of the settings stand the test?

    This machine asks the server's own Anthropic endpoint, or in OpenAI's format where it has none; a long prompt is
    among the questions, which takes its time. A server that hangs ends it after the first row or two. The report is
    written to certified/ in this directory: "certified" where Claude Code itself did all its tasks (--agent), "protocol
    only" where it was not let. Exit status 1 if a row failed.

    \b
    signalbox certify lmstudio            a model server
    signalbox certify --claude 2.1.329    a version of Claude Code, before its pin moves: what lanes set for it, one by
                                          one, against a scripted model on this machine; npm fetches it
    """
    if backend is None:
        if claude is None:
            raise click.UsageError("Write BACKEND, or --claude VERSION for a version of Claude Code.")
        _certify_version(claude, as_json)
    record, which_model, token, silence = _chosen(backend, inventory, host, model)
    url = backend_kind(record).native_anthropic(record)
    program = claude or which("claude")
    if agent and url is None:
        raise Failure(f"--agent: {record.kind} has no Anthropic endpoint, so Claude Code cannot ask backends.{backend}")
    if agent and program is None:
        raise Failure("--agent: there is no claude on PATH; write --claude PATH")
    server = Server(url or str(record.url), str(which_model.id), token, patience, openai=url is None)
    target = Target(server, which_model.context_length, backend_kind(record).takes_tool_choice, silence)
    told = backend_kind(record).identity(server.model, server.tell)
    seen = _told(rows(target, working))
    ran = agent and program is not None and all(row.result != ROW_FAILED for row in seen)
    if ran and program:
        seen += _told(claude_code.rows(target, program, patience, working))
    report = Report(
        backend,
        str(record.kind),
        server.model,
        told.quantisation if quantisation is None else quantisation,
        told.version if server_version is None else server_version,
        target.context,
        datetime.now(UTC).isoformat(timespec="seconds"),
        ran,
        tuple(seen),
    )
    file = report.write()
    if as_json:
        print_json(report.to_json())
    else:
        print_table(["row", "result", "seen", "symptom"], [(r.name, r.result, r.seen, r.symptom) for r in seen])
        note(f"{backend}: {report.verdict}; written to {file}")
    sys.exit(OK if report.passed else FAILED)


def _certify_version(claude: str, as_json: bool) -> NoReturn:
    """Try what lanes set for Claude Code on a version of it, or on a program; end with 1 if a row failed."""
    with _program(claude) as program:
        seen = _told(claude_version.rows(program, working))
    if as_json:
        print_json({"claude": claude, "rows": [{"name": r.name, "result": r.result, "seen": r.seen} for r in seen]})
    else:
        print_table(["row", "result", "seen"], [(r.name, r.result, r.seen) for r in seen])
    sys.exit(OK if all(row.result != ROW_FAILED for row in seen) else FAILED)


@contextmanager
def _program(claude: str) -> Iterator[str]:
    """Yield the path of a program; of a version npm fetches it, and checks it against the registry's integrity."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", claude):
        if not Path(claude).is_file():
            raise Failure(f"--claude: {claude} is neither a program nor a version such as 2.1.329")
        yield str(Path(claude).absolute())
        return
    name = f"@anthropic-ai/claude-code-linux-{_ARCHITECTURES.get(platform.machine(), platform.machine())}"
    command = client()
    if command is None:
        raise Failure("--claude: npm, which fetches a version, is not installed; write --claude PATH")
    with tempfile.TemporaryDirectory(prefix="signalbox-claude-") as place:
        words = ["install", "--prefix", place, "--ignore-scripts", "--no-save", "--silent", f"{name}@{claude}"]
        with working(f"fetching Claude Code {claude}"):
            try:
                done = subprocess.run(
                    [*command, *words], cwd=place, capture_output=True, text=True, timeout=_FETCHING, check=False
                )
            except subprocess.TimeoutExpired:
                raise Failure(f"--claude: npm has not fetched {name} {claude} within {_FETCHING} s") from None
        if done.returncode:
            raise Failure(f"--claude: npm cannot fetch {name} {claude}: {(done.stderr or done.stdout).strip()[-200:]}")
        yield str(Path(place, "node_modules", name, "claude"))


def _told(seen: Iterable[Row]) -> list[Row]:
    """Return the rows, each told as soon as it is there."""
    told = []
    for row in seen:
        told.append(row)
        note(f"{row.name}: {row.result}")
    return told


def _chosen(
    backend: str, inventory: Path | None, host: str | None, model: str | None
) -> tuple[Backend, BackendModel, str, int]:
    layers, name = read_layers(inventory, host)
    try:
        settings = Settings.from_layers(layers, host=name)
    except SettingsError as error:
        raise Failure(str(error)) from None
    records = {key: record for key, record in settings.backends.items() if record.enabled}
    if backend not in records:
        raise click.UsageError(f"BACKEND: write one of {', '.join(records) or 'none, no backend is enabled'}.")
    record = records[backend]
    if model is None and len(record.models) == 1:
        model = next(iter(record.models))
    if model not in record.models:
        raise click.UsageError(f"--model: write one of {', '.join(record.models)}.")
    try:
        token = settings.secret(record.token).reveal() if record.token else ""
    except SecretError as error:
        raise Failure(str(error)) from None
    return record, record.models[model], token, settings.gateway.stream_timeout_seconds
