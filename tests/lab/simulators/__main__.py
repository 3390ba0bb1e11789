"""The command line of the simulators."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.lab.simulators.client import Client, ControlError
from tests.lab.simulators.daemon import CONTROL_PORT, run, url
from tests.lab.simulators.faults import Faults
from tests.lab.simulators.personalities import personalities

PORTS = {p.name: p.port for p in personalities()} | {"control": CONTROL_PORT}


def _ports(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    ports = {}
    for item in given:
        name, _equals, number = item.partition("=")
        if name not in PORTS or not number.isdigit():
            raise click.BadParameter(f"{item!r}: write NAME=NUMBER, NAME one of {', '.join(PORTS)}")
        ports[name] = int(number)
    return ports


def _client(control: str) -> Client:
    return Client(control)


control_option = click.option(
    "--control",
    default=url("127.0.0.1", CONTROL_PORT),
    show_default=True,
    envvar="SIMULATORS_CONTROL",
    help="URL of the control channel; `serve` prints it.",
)


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ControlError as problem:
            raise click.ClickException(str(problem)) from None


@click.group(cls=_Group)
def main() -> None:
    """Simulated model servers and clouds: real protocols, scripted answers, failures on demand.

    \b
    In one terminal:   python -m tests.lab.simulators serve
    In another:        curl http://127.0.0.1:1234/v1/models
                       python -m tests.lab.simulators fault lmstudio 500 --times 1
                       python -m tests.lab.simulators requests

    A prompt "run: CMD" makes the model call the Bash tool with CMD; "count to N" makes a long answer.
    """


@main.command()
@click.option("--bind", default="127.0.0.1", show_default=True, help="The one address to listen on.")
@click.option("--state", type=click.Path(path_type=Path), default=None, help="Directory for state and log.")
@click.option("--port", multiple=True, callback=_ports, help=f"NAME=NUMBER, of {', '.join(PORTS)}; 0: a free one.")
def serve(bind: str, state: Path | None, port: dict[str, int]) -> None:
    """Run the simulators until Ctrl-C."""
    state = state or Path(tempfile.mkdtemp(prefix="simulators-"))
    state.mkdir(parents=True, exist_ok=True)
    ports = PORTS | port
    err = Console(stderr=True)
    err.print(f"simulators on {bind}: " + ", ".join(f"{name} {number}" for name, number in ports.items()))
    err.print(f"state and request log: {state}")
    try:
        asyncio.run(run(bind, state, ports, ports["control"]))
    except OSError as error:
        err.print(f"[red]{error}[/red]\nIs it running already, or is the address not this machine's?")
        sys.exit(1)


@main.command()
@click.argument("server", type=click.Choice([p.name for p in personalities()]))
@click.argument("kind", type=click.Choice(Faults.kinds))
@click.option("--model", help="Only requests for models that fit this shell pattern.")
@click.option("--path", help="Only paths that fit this shell pattern, such as '/v1/messages*'.")
@click.option("--times", type=int, help="For so many requests. Without: until cleared.")
@click.option("--after-chunks", type=int, help="Events of a stream that go out first.")
@click.option("--retry-after", type=int, help="Seconds that 429 tells the client. [default: 1]")
@click.option("--text", help="What garble makes the model say; which flood.")
@click.option("--seconds", type=float, help="How long hang and stall last. Without: until cleared.")
@control_option
def fault(server: str, kind: str, control: str, **more: Any) -> None:
    """Make SERVER fail.

    \b
    401 429 500 503 529 overflow   the vendor's own error
    refuse                         connection refused, until cleared
    hang, drop                     no answer; with drop the connection ends
    cut, stall                     half an answer; with cut the connection ends
    garble, uncounted              a malformed answer; one without usage
    flood                          one without end, or too large; --text names which

    Clients also ask for /api/hello, /v1/models and the like: with --times, say which --path counts.
    """
    given = {name: value for name, value in more.items() if value is not None}
    _say(_client(control).fault(server, kind, **given))


@main.command()
@click.option("--server", type=click.Choice([p.name for p in personalities()]), help="Of this one only.")
@click.option("--json", "as_json", is_flag=True, help="Everything, headers and bodies too, as JSON.")
@control_option
def requests(server: str | None, as_json: bool, control: str) -> None:
    """Show what was asked since the last clear."""
    records = _client(control).requests(server)
    if as_json:
        _say(records)
        return
    table = Table("#", "server", "request", "model", "status", "fault", "stream")
    for r in records:
        stream = "" if r["chunks"] is None else f"{r['chunks']}{'' if r['complete'] else ' (cut)'}"
        cells = (r["number"], r["server"], f"{r['method']} {r['path']}", r["model"], r["status"], r["fault"], stream)
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@main.command()
@control_option
def clear(control: str) -> None:
    """Start afresh: no faults, no requests, options as at the start."""
    _client(control).clear()


def _say(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


if __name__ == "__main__":
    main()
