"""The lab on the command line."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from tests.lab import access, hosts, services, zoo
from tests.lab.instance import Lab
from tests.lab.inventory import write_inventory
from tests.lab.machine import LabError, progress, require_machine, step

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class Group(click.Group):
    """A group whose LabErrors are one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the commands that change this machine.")
def main(verbose: bool) -> None:
    """Run real Debian 13 hosts on this machine (systemd-nspawn, as root).

    \b
    python -m tests.lab up box1 box2          two hosts, with the simulators and the mirror beside them
    python -m tests.lab ssh box1              log in as root
    eval "$(python -m tests.lab env)"         the secrets that the simulators accept
    pyinfra $(python -m tests.lab inventory) deploy.py
    python -m tests.lab down                  leave nothing

    SIGNALBOX_LAB=NAME works on another lab, separate from the first.
    """
    if verbose:
        handler = RichHandler(console=progress, show_time=False, show_level=False, show_path=False)
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--services/--no-services", "with_services", default=True, help="Simulators and mirror (default: on).")
@click.option("--bare-ca", is_flag=True, help="New hosts do not trust this machine's own certificate authorities.")
@click.option("--as", "states", default="", metavar="STATE,...", help="New hosts are as the zoo has it; see `zoo`.")
def up(names: Sequence[str], with_services: bool, bare_ca: bool, states: str) -> None:
    """Bring hosts up: new ones, and those that are powered off."""
    found = zoo.chosen(filter(None, states.split(",")))
    hosts.up(names, with_services=with_services, bare_ca=bare_ca, states=found)


@main.command("zoo")
def zoo_() -> None:
    """List the states that `up --as` knows: hosts as people have them."""
    table = Table("state", "outcome", "what the host has", "source", box=None)
    for state in zoo.STATES.values():
        table.add_row(state.name, state.outcome, state.found.replace("[", r"\["), state.source)
    Console().print(table)


@main.command("exec", context_settings=PASS_ON)
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def exec_(name: str, command: Sequence[str]) -> None:
    """Run a command as root inside a host without network or sshd; its exit status is yours."""
    require_machine()
    sys.exit(subprocess.run(hosts.inside(name, *_words(command)), check=False).returncode)


@main.command(context_settings=PASS_ON)
@click.option("-l", "--user", default="root", show_default=True, help="Log in as this user.")
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(user: str, name: str, command: Sequence[str]) -> None:
    """Log in to a host with the lab's key, or run a command there, as ssh does."""
    hosts.address(name)
    line = [" ".join(words)] if (words := _words(command)) else []
    sys.exit(subprocess.run([*access.ssh(Lab.current(), name, user), *line], check=False).returncode)


def _words(command: Sequence[str]) -> Sequence[str]:
    """Return the command without the `--` that may separate it from this command's own words."""
    return command[1:] if command[0:1] == ("--",) else command


@main.command()
@click.argument("name")
def reboot(name: str) -> None:
    """Reboot a host; ends when ssh answers again, under a new boot id."""
    require_machine()
    with step(f"rebooting {name}"):
        hosts.reboot(name)


@main.command()
@click.argument("name")
@click.option("--hard", is_flag=True, help="Pull the plug instead of shutting down.")
def poweroff(name: str, hard: bool) -> None:
    """Power a host off and keep its disk: `up NAME` starts it again."""
    require_machine()
    with step(f"powering {name} off"):
        hosts.poweroff(name, hard=hard)


@main.command()
def inventory() -> None:
    """Write a pyinfra inventory of the hosts that are up, with this lab's settings, and print its path."""
    require_machine()
    if not hosts.running():
        raise LabError("no host is up: python -m tests.lab up NAME")
    click.echo(write_inventory(None, services.lab_settings()))


@main.command()
def env() -> None:
    """Print the secrets that the simulators accept as shell exports: eval "$(python -m tests.lab env)"."""
    for name, value in services.environment().items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list instead of a table.")
def list_(as_json: bool) -> None:
    """List the hosts."""
    rows = [
        {"name": name, "state": "up" if hosts.is_up(name) else "off", "ipv4": hosts.address(name),
         "ipv6": hosts.address(name, 6)}
        for name in Lab.current().hosts()
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        table = Table(*rows[0], box=None)
        for row in rows:
            table.add_row(*row.values())
        Console().print(table)
    else:
        progress.print("no hosts")


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def down(names: Sequence[str]) -> None:
    """Take hosts away with all they hold; without names the whole lab, leaving nothing."""
    require_machine()
    with step(f"taking {', '.join(names) or 'the lab'} down"):
        hosts.down(names or None)


if __name__ == "__main__":
    main(prog_name="python -m tests.lab")
