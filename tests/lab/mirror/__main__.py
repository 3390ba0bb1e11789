"""`python -m tests.lab.mirror`: the mirror by hand, on loopback unless told otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from tests.lab import mirror
from tests.lab.instance import labs_directory
from tests.lab.machine import LabError, progress

bind = click.option("--bind", default="127.0.0.1", show_default=True, help="The one IPv4 address to serve on.")
state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: labs_directory() / "mirror-by-hand",
    help="Where its authority, process records and logs are kept.",
)


@click.group()
def main() -> None:
    """Serve what a host would fetch: mise, Node and the gateway's image.

    The lab starts a mirror of its own on its bridge; this one is for working on the mirror.
    """


@main.command()
def build() -> None:
    """Build what the cache does not hold, and tell where it is."""
    content = mirror.build()
    for name, version in content.versions.items():
        click.echo(f"{name:<12} {version:<12} {getattr(content, name)}")


@main.command()
@bind
@state
def start(bind: str, state: Path) -> None:
    """Serve it, in the background; print the settings of hosts that use it."""
    mirror.start(bind, state)
    click.echo(json.dumps(mirror.settings(bind, state), indent=1))


@main.command()
@state
def stop(state: Path) -> None:
    """End what `start` started."""
    mirror.stop(state)


@main.command()
@bind
@state
def settings(bind: str, state: Path) -> None:
    """Print the settings of hosts that use it, as JSON."""
    click.echo(json.dumps(mirror.settings(bind, state), indent=1))


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        progress.print(f"mirror: {error}", markup=False)
        sys.exit(1)
