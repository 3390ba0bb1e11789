"""The `signalbox` command: names its subcommands and imports only the one that is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from signalbox.commands.wrong_usage import usage_fails

_COMMANDS = {
    "init": "Ask what a host needs, check it, and write the files.",
    "adopt": "Take over a host that was set up by hand, by the guide.",
    "deploy": "Make hosts what their settings say.",
    "remove": "Take everything away from hosts again.",
    "outdated": "Tell which pinned versions are behind what the mirrors offer.",
    "history": "Show the deploys that were made from this machine.",
    "lock": "Show who deploys at this moment, and break a lock.",
    "pin": "Resolve the checksums and digests of versions.",
    "plan": "Tell what a deploy would change; its exit status can be trusted.",
    "rollout": "Deploy to many hosts in waves, and stop in time.",
    "secrets": "Keep secrets encrypted in the repository.",
    "verify": "Tell whether hosts work, and if not, why.",
    "certify": "Tell whether a model server can drive Claude Code.",
    "settings": "Show a host's settings and where each comes from.",
    "usage": "Add up tokens and cost by day, lane and backend.",
    "upgrade": "Write newer versions with their checksums, and the way back.",
}


class _Commands(click.Group):
    """A group whose commands are the modules of signalbox.commands; each is imported when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"signalbox.commands.{name}"), name)
        return command

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with usage_fails():  # it may have been meant for the plan
            return super().make_context(*args, **more)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        with usage_fails():
            return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="signalbox")
def cli() -> None:
    """Debian 13 machines as always-on Claude Code hosts.

    \b
    Hosts are described in a project of yours, inventory.py and group_data/, which `signalbox init` makes;
    `signalbox plan` tells what a deploy would change, `signalbox deploy` changes it.
    """


def main() -> None:
    """Run the command line."""
    # pyinfra's command line patches the standard library for gevent on import, which must come before
    # anything else is imported.
    import_module("pyinfra_cli")
    sys.excepthook = import_module("signalbox.engine.output").tell_exception
    pinned = import_module("signalbox.commands.pinned")
    try:
        pinned.hand_over(sys.argv[1:])
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    cli()
