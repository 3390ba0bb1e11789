"""`signalbox secrets rotate-gateway-key`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from signalbox.commands import deploys
from signalbox.commands.options import fleet_options
from signalbox.console import FAILED, note, verbose_option
from signalbox.engine.driver import drive

_DEPLOY = str(Path(deploys.__file__).with_name("gateway_key.py"))


@click.command("rotate-gateway-key")
@fleet_options
@verbose_option
def rotate_gateway_key(inventory: str, selectors: list[str], verbose: int) -> None:
    """Give the gateway of each host a new key; the old one is refused from then on.

    The key is made on the host and never leaves it; launchers read the new one. The gateway is replaced while it runs:
    what is being answered ends. Sessions that run have the old key: each is named, with what to do.

    Exit status 1 if a host failed: run it again, the host may have the old key or the new.
    """
    try:
        outcome = drive(inventory, _DEPLOY, ["-y", *selectors], note if verbose else None)
    except KeyboardInterrupt:
        note("interrupted: a host may have the old key or the new; run it again")
        sys.exit(FAILED)
    for host in {**outcome.warnings, **outcome.errors}:
        for text in dict.fromkeys((*outcome.warnings.get(host, ()), *outcome.errors.get(host, ()))):
            note(f"{host}: {text}" if host else text)
    state = outcome.state
    done = [] if state is None else sorted(str(h.name) for h in state.activated_hosts if h not in state.failed_hosts)
    if outcome.error and not outcome.errors:
        note(outcome.error)
    note(f"new key: {', '.join(done) or 'on no host'}")
    if outcome.error or outcome.errors or not done:
        sys.exit(FAILED)
