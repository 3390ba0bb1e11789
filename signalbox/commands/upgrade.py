"""`signalbox upgrade`: newer pins with their checksums, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from signalbox.commands.newer import upgrade_self
from signalbox.commands.options import FILE, beaten, host_options, pins_file, read_pin_layers
from signalbox.console import Failure, agreed, note, print_table, verbose_option, working
from signalbox.init.pins_file import changed as pins_of
from signalbox.pins import NAMES, PinError, Web, changes, history, newest, ordered, resolve, signature, write
from signalbox.pins.resolve import leaves
from signalbox.settings import SettingsError
from signalbox.settings.sections.pins import Pins
from signalbox.settings.settings import sections

_Leaves = dict[tuple[str, ...], str | None]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME[=VERSION]]...")
@click.option("--back", is_flag=True, help="Write the set of before the last upgrade again.")
@click.option(
    "--self",
    "of_ours",
    is_flag=False,
    flag_value="",
    metavar="[WHEEL|COMMIT]",
    help="Signalbox itself: a wheel's path or address; a commit, tag or branch  [default: the newest commit]",
)
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--output", type=FILE, metavar="FILE", help="The settings file to change instead of group_data/pins.py.")
@host_options
@verbose_option
def upgrade(
    names: tuple[str, ...],
    back: bool,
    of_ours: str | None,
    yes: bool,
    output: Path | None,
    inventory: Path | None,
    host: str | None,
    verbose: int,
) -> None:
    """Write newer versions with their checksums and digests into `pins`.

    NAME is mise, node, claude_code or litellm; without one, all that are behind. Every checksum is resolved anew from
    the mirrors; what was found is shown, and written after a yes. The set of before is kept in
    group_data/pins.earlier.json, so that `--back` returns to it. Hosts change with the next deploy.

    \b
    signalbox upgrade                    all that are behind
    signalbox upgrade node=24.11.1       another major version of Node
    signalbox upgrade --back             the set of before
    signalbox upgrade --self FILE        Signalbox itself: what changed for your settings is told first

    Exit status: 0 done, 1 a mirror could not tell of one of them: the others are written all the same.
    """
    if of_ours is not None:
        if back or names:
            raise click.UsageError("--self is for itself; leave the other words out.")
        upgrade_self(of_ours, yes=yes, verbose=verbose)
        return
    if back and names:
        raise click.UsageError("--back returns to the whole set of before; leave the names out.")
    target, errors = pins_file(output, inventory), list[str]()
    layers, name = read_pin_layers(inventory, host)
    try:
        part = sections(layers, name, ("pins", "mirrors", "extra_ca_certificates"))
        sets = history.earlier(target)
        if back:
            if not sets:
                raise Failure(f"{history.path(target)}: there is no earlier set to return to")
            wanted, sets = sets[-1], sets[:-1]
        else:
            asked = _asked(names)
            with Web(part["extra_ca_certificates"]) as web:
                wanted, errors = _upgraded(web, part, asked)
            sets = [*sets, part["pins"].model_dump()]
    except (PinError, SettingsError) as error:
        raise Failure(str(error)) from None
    old, new = dict(leaves(part["pins"].model_dump())), dict(leaves(wanted))
    changed = {path: value for path, value in new.items() if old.get(path) != value}
    if changed:
        if problem := beaten(layers, target, changed):
            raise Failure(problem)
        _show(changed, old, verbose)
        if yes or agreed(f"Write this to {target}?"):
            _write(target, wanted, changed, sets, back)
    if errors:
        raise Failure("\n".join(errors))


def _asked(names: tuple[str, ...]) -> dict[str, str | None]:
    asked: dict[str, str | None] = {}
    for given in names:
        name, _, version = given.partition("=")
        if name not in NAMES:
            raise click.UsageError(f"{name!r} is not one of {', '.join(NAMES)}.")
        asked[name] = version or None
    return asked


def _upgraded(web: Web, part: dict[str, Any], asked: dict[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    """Return the section `pins` as it shall be, and what a mirror could not tell: that one stays as it is."""
    pins: dict[str, Any] = part["pins"].model_dump()
    errors: list[str] = []
    for name in asked or NAMES:
        try:
            with working(f"Resolving {name}"):
                version = asked.get(name) or newest(web, name, part["pins"], part["mirrors"])
                if name not in asked and ordered(version) <= ordered(pins[name]["version"]):
                    continue
                # Without its old checksums: what a mirror no longer offers is unset, never another version's.
                fresh = _emptied(pins[name]) | {"version": version}
                resolved = list(resolve(web, _valid(pins | {name: fresh}), part["mirrors"], [name]))
                told = signature.of_each(resolved, part["mirrors"].litellm)
                for one in resolved:
                    _set({name: fresh}, one.path, one.new)
                pins[name] = fresh
            for words in told:
                note(words)
        except PinError as error:
            errors.append(str(error))
    return pins, errors


def _valid(pins: dict[str, Any]) -> Pins:
    try:
        return Pins.model_validate(pins)
    except ValidationError as error:
        told = (f"pins.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise PinError("\n".join(told)) from None


def _emptied(section: dict[str, Any]) -> dict[str, Any]:
    return {key: _emptied(value) if isinstance(value, dict) else None for key, value in section.items()}


def _set(section: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for part in path[:-1]:
        section = section[part]
    section[path[-1]] = value


def _show(changed: _Leaves, old: _Leaves, verbose: int) -> None:
    def short(value: str | None) -> str:
        return "unset" if value is None else value if verbose or len(value) < 24 else f"{value[:19]}…"

    print_table(
        ["pin", "old", "new", "changes"],
        [
            [
                ".".join(path),
                short(old.get(path)),
                short(value),
                changes(path[0], value) if value and path[-1] == "version" else "",
            ]
            for path, value in changed.items()
        ],
    )


def _write(target: Path, wanted: dict[str, Any], changed: _Leaves, sets: list[dict[str, Any]], back: bool) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
        text = pins_of(target, wanted, changed).new
        # In the order in which a run that dies in between has lost no set.
        if back:
            write(target, text)
            history.keep(target, sets)
        else:
            history.keep(target, sets)
            write(target, text)
    except PinError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename or target}: cannot be written ({error.strerror})") from None
    way_back = "" if back else "; `signalbox upgrade --back` returns to what it was"
    note(f"Wrote {target}{way_back}. Hosts change with the next deploy.")
