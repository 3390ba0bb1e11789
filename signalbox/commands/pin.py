"""`signalbox pin`: resolve checksums and digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signalbox.commands.options import FILE, beaten, host_options, pins_file, read_pin_layers
from signalbox.console import (
    DRIFT,
    Failure,
    agreed,
    downloading,
    json_option,
    note,
    print_json,
    print_table,
    verbose_option,
    working,
)
from signalbox.init.pins_file import changed as pins_of
from signalbox.init.pins_file import with_values
from signalbox.pins import NAMES, Found, PinError, Web, resolve, signature, unset, write
from signalbox.settings import SettingsError
from signalbox.settings.settings import sections


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[mise|node|claude_code|litellm]...")
@click.option("--check", is_flag=True, help="Only tell what is unset: exit status 2 if something is.")
@click.option("--again", is_flag=True, help="Resolve what is pinned already too, as after a change of version.")
@click.option("--verify", is_flag=True, help="Download what can be downloaded, and compare (about 500 MB).")
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--output", type=FILE, metavar="FILE", help="Write to this file instead of group_data/pins.py.")
@host_options
@json_option
@verbose_option
def pin(
    names: tuple[str, ...],
    check: bool,
    again: bool,
    verify: bool,
    yes: bool,
    output: Path | None,
    inventory: Path | None,
    host: str | None,
    as_json: bool,
    verbose: int,
) -> None:
    """Resolve the checksums and digests of the versions in `pins`.

    They come from the mirrors that settings name: SHASUMS256.txt beside the archives of mise and Node, npm's
    integrity of Claude Code, the image digest of LiteLLM. What was found is shown, and written after a yes
    into the project's group_data/pins.py; what was there before stays beside it as pins.py.bak.

    \b
    signalbox pin                  resolve what is unset
    signalbox pin node --again     after writing another version of Node
    signalbox pin --check          in CI: is everything pinned?
    """
    target = pins_file(output, inventory) if yes or not (check or as_json) else None
    layers, name = read_pin_layers(inventory, host)
    try:
        part = sections(layers, name, ("pins", "mirrors", "extra_ca_certificates"))
    except SettingsError as error:
        raise Failure(str(error)) from None
    chosen = names or NAMES
    if check:
        missing = [each for each in unset(part["pins"]) if each.split(".")[0] in chosen]
        if as_json:
            print_json({"unset": missing})
        else:
            print_table(["unset"], [[each] for each in missing])
        if missing:
            raise SystemExit(DRIFT)
        return
    found: list[Found] = []
    errors: list[str] = []
    with Web(part["extra_ca_certificates"]) as web:
        for each in chosen:
            try:
                with working(f"Resolving {each}"):
                    resolved = list(resolve(web, part["pins"], part["mirrors"], [each], again))
                    told = signature.of_each(resolved, part["mirrors"].litellm)
                found += resolved
                for words in told:
                    note(words)
            except PinError as error:
                errors.append(str(error))
        if verify:
            with downloading() as progress:
                try:
                    for one in found:
                        one.verify(web, progress)
                except PinError as error:
                    raise Failure(str(error)) from None
    changed = [one for one in found if one.old != one.new]
    if changed and target and (problem := beaten(layers, target, [one.path for one in changed if one.old is not None])):
        raise Failure(problem)
    if not as_json:
        _show_pins(changed, verbose)
    written = bool(changed) and target is not None and (yes or (not as_json and agreed(f"Write this to {target}?")))
    if written and target:
        _write_pins(target, part["pins"].model_dump(), changed)
    if as_json:
        print_json(
            {
                "pins": [
                    {"pin": one.name, "version": one.version, "old": one.old, "new": one.new, "source": one.source}
                    for one in found
                ],
                "written": str(target) if written else None,
                "errors": errors,
            }
        )
    if errors:
        raise Failure("\n".join(errors))


def _show_pins(changed: list[Found], verbose: int) -> None:
    def short(value: str | None) -> str:
        return "unset" if value is None else value if verbose else f"{value[:19]}…"

    print_table(
        ["pin", "version", "old", "new", "source"],
        [[one.name, one.version, short(one.old), short(one.new), one.source] for one in changed],
    )


def _write_pins(target: Path, pins: dict[str, Any], changed: list[Found]) -> None:
    try:
        values: dict[tuple[str, ...], str | None] = {one.path: one.new for one in changed}
        target.parent.mkdir(exist_ok=True)
        backup = write(target, pins_of(target, with_values(pins, values), values).new)
    except PinError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{target}: cannot be written ({error.strerror})") from None
    note(f"Wrote {target}" + (f"; what it was is in {backup.name}" if backup else ""))
