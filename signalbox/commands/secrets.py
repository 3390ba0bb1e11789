"""`signalbox secrets`: the vault, encrypted files that may be in git."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from signalbox.commands.options import host_options, read_agreed, read_layers
from signalbox.commands.rotation import rotate_gateway_key
from signalbox.commands.secret_options import SecretName, SecretsGroup, State, scope_option, with_state
from signalbox.console import (
    FAILED,
    Failure,
    confirmed,
    json_option,
    note,
    print_json,
    print_table,
    reveal,
    verbose_option,
)
from signalbox.desired.secret_names import all_secrets
from signalbox.secrets import Secret, SecretError
from signalbox.secrets.file_formats import assignments, read_text
from signalbox.settings import Settings, SettingsError
from signalbox.settings.layers import groups_of
from signalbox.settings.secret_source import SOURCES, source_for
from signalbox.vault import changes
from signalbox.vault.rotation import rotate
from signalbox.vault.user_input import checked, edited, piped, value_of
from signalbox.vault.vault import Vault


@click.group(cls=SecretsGroup)
@host_options
@click.option("--key", metavar="SOURCE", help="Where the key comes from, in place of the setting secrets.key.")
@click.pass_context
def secrets(context: click.Context, inventory: Path | None, host: str | None, key: str | None) -> None:
    """Keep secrets encrypted in the repository: names are readable, values are not.

    secrets/all.yml holds those of all hosts, secrets/<group or host>.yml those that differ. The setting secrets.key
    says what opens them; deploys read them once secrets.source is "vault". docs/secrets.md says more.

    \b
    signalbox secrets init                       make secrets/all.yml and its key
    signalbox secrets set ANTHROPIC_DIRECT_KEY   asks for the value, or reads it from stdin
    signalbox secrets list                       what there is; needs no key
    signalbox secrets check                      can everything be decrypted?
    """
    given = inventory is not None or host is not None

    def read() -> State:
        layers = read_layers(inventory, host) if given else read_agreed(None, None, ("secrets",))
        return State(*layers, given, key)

    context.obj = read


@secrets.command()
@scope_option
@with_state
def init(state: State, scope: str) -> None:
    """Make an empty vault file and, where secrets.key names a key file that is not there, its key."""
    path = changes.create(state.files, state.keys, scope)
    source = state.keys.source(scope)
    note(f"Made {path}" + (f"; its key is {source.removeprefix('file:')}" if source.startswith("file:") else ""))
    if source.startswith("file:"):
        note("Keep the key out of git, and a copy of it in a safe place: without it the secrets are lost")
    if state.settings.source != "vault":
        note('Write "source": "vault" in the section secrets of your settings, so that deploys read it')


@secrets.command("set")
@click.argument("name", type=SecretName())
@click.argument("value", nargs=-1, metavar="")
@scope_option
@with_state
def set_(state: State, name: str, value: tuple[str, ...], scope: str) -> None:
    """Set a secret: the value is asked for, or read from stdin where that is no terminal.

    \b
    signalbox secrets set ANTHROPIC_DIRECT_KEY
    op read op://Private/Claude/credential | signalbox secrets set ANTHROPIC_DIRECT_KEY
    signalbox secrets set ANTHROPIC_DIRECT_KEY --for box1
    """
    if value:
        raise click.UsageError(
            "the value must not be on the command line, where other users and your shell's history see it "
            "(change it, if it is a real one); it is asked for, or read from stdin."
        )
    state.files.load(state.files.path(scope))  # before somebody types a value for nothing
    secret = value_of(name)
    changed = changes.change(state.files, state.keys, scope, lambda vault: vault.with_values([(name, secret)]))
    note(f"Set {name} in {changed}" if changed else f"{name} has that value already")


@secrets.command()
@click.argument("name", type=SecretName())
@scope_option
@click.option("-y", "--yes", is_flag=True, help="Print it on a terminal without asking.")
@with_state
def get(state: State, name: str, scope: str, yes: bool) -> None:
    """Print a secret of one file; with `secrets --limit`, the one that a deploy would give that host.

    \b
    signalbox secrets get ANTHROPIC_DIRECT_KEY | wl-copy
    signalbox secrets --limit box1 get ANTHROPIC_DIRECT_KEY
    """
    asks = sys.stdout.isatty() and not yes
    if asks and not confirmed(f"Show {name} on this terminal?"):
        raise Failure("nothing was shown; pipe it on, or use --yes")
    if state.host is not None and scope == "all":
        source = source_for(state.settings, groups_of(state.layers))
        found, place = source.find(name, state.host), source.where(name, state.host)
    else:
        path = state.files.path(scope)
        found, place = state.keys.unlock(state.files.load(path), path).get(name), f"it is not in {path}"
    if found is None:
        raise Failure(f"there is no {name}; {place}")
    reveal(found.reveal())


@secrets.command("list")
@json_option
@with_state
def list_(state: State, as_json: bool) -> None:
    """Show the names of all secrets and whose they are. Needs no key."""
    found = [state.files.load(path) for path in state.files.all()]
    rows = [(name, each.scope) for each in found for name in sorted(each.values)]
    if as_json:
        print_json([{"secret": name, "for": scope} for name, scope in rows])
    else:
        print_table(["secret", "for"], rows)


@secrets.command()
@scope_option
@with_state
def edit(state: State, scope: str) -> None:
    """Edit a file's secrets as NAME=value lines in $VISUAL or $EDITOR, in memory-backed storage.

    A line that is taken out removes the secret; values that stay keep their ciphertext.
    """

    def change(vault: Vault) -> Vault:
        wanted = edited({name: value for name in vault.names if (value := vault.get(name)) is not None})
        return vault.without(set(vault.names) - set(wanted)).with_values(wanted.items())

    changed = changes.change(state.files, state.keys, scope, change)
    note(f"Wrote {changed}" if changed else "Nothing was changed")


@secrets.command("rotate-key")
@click.option("--to", metavar="SOURCE", help="The new key: prompt, file:PATH, env:NAME or command:WORDS.")
@click.option(
    "--for",
    "scope",
    metavar="GROUP|HOST",
    help="Only this file; without --to also those of the same key file.  [default: all that have all.yml's key]",
)
@with_state
def rotate_key(state: State, to: str | None, scope: str | None) -> None:
    """Encrypt everything anew under a new key; the files as they were stay beside them as *.bak.

    Without --to a passphrase is asked for, and a key file is replaced by a new one (the old one stays as *.bak).
    A rotation that was killed on the way is finished by the same command. Who has the old key and an old copy of a file
    can still read that copy: change the secrets themselves too.
    """
    for path in rotate(state.files, state.keys, scope, to):
        note(f"Encrypted {path} anew; what it was is in {path.name}.bak, for the old key")
    if to is not None:
        where = f'secrets.keys, for "{scope}"' if scope else "secrets.key"
        note(f"Write where the new key comes from, {to}, in your settings: {where}")


@secrets.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), required=False)
@click.option("--from", "source", type=click.Choice(list(SOURCES)), help="Copy from this source instead of a file.")
@click.option("--name", "names", multiple=True, type=SecretName(), help="Only this secret; may be given again.")
@click.option("--replace", is_flag=True, help="Secrets that are there already get the new value.")
@scope_option
@with_state
def import_(
    state: State, file: Path | None, source: str | None, names: tuple[str, ...], replace: bool, scope: str
) -> None:
    """Take secrets over from a file of NAME=value lines (- is stdin), or from another source.

    \b
    signalbox secrets import ~/.config/claude-secrets.env
    signalbox secrets import --from environment --name ANTHROPIC_DIRECT_KEY
    """
    if (file is None) == (source is None) or (source is not None and not names):
        raise click.UsageError("name a file, or --from SOURCE with a --name for each secret.")
    found: dict[str, Secret] = {}
    if file is not None:
        text = piped() if str(file) == "-" else read_text(file)
        found = {name: value for name, value in assignments(text, str(file)).items() if not names or name in names}
    else:
        reader = SOURCES[source or ""](state.settings, groups_of(state.layers))
        for name in names:
            if (value := reader.find(name, state.host or scope)) is not None:
                found[name] = value
    if missing := [name for name in names if name not in found]:
        raise Failure(f"there is no {', '.join(missing)} to import; nothing was written")
    checked(found)

    def change(vault: Vault) -> Vault:
        there = sorted(name for name in found if vault.get(name) not in (None, found[name]))
        if there and not replace:
            raise SecretError(
                f"{', '.join(there)}: there already, with another value; nothing was written (see --replace)"
            )
        return vault.with_values(found.items())

    changed = changes.change(state.files, state.keys, scope, change)
    note(f"Imported {', '.join(sorted(found))} into {changed}" if changed else "Everything was there already")
    if changed and file is not None and str(file) != "-":
        note(f"{file} still holds them in clear: remove it once a deploy has worked")


@secrets.command()
@click.option("--without-key", is_flag=True, help="Only look whether the files are whole, as a pre-commit hook can.")
@json_option
@verbose_option
@with_state
def check(state: State, without_key: bool, as_json: bool, verbose: int) -> None:
    """Prove that every file is whole and every value decrypts; with `secrets --limit`, that no secret lacks.

    Exit status 1 if something is wrong. Silent when all is well; -v tells what was looked at.
    """
    found = changes.check(state.files, None if without_key else state.keys)
    problems = [problem for each in found for problem in each.problems]
    if state.host is not None:
        problems += _lacking(state)
    if as_json:
        print_json(
            {"files": [{"file": str(each.path), "secrets": each.secrets} for each in found], "problems": problems}
        )
    else:
        for each in found if verbose else ():
            note(f"{each.path}: {each.secrets} secrets" + ("" if each.problems else ", all well"))
        if not found and verbose:
            note(f"there is no vault file: none is named as {state.settings.vault_files}")
        for problem in problems:
            note(problem)
    if problems:
        raise SystemExit(FAILED)


secrets.add_command(rotate_gateway_key)


def _lacking(state: State) -> Iterator[str]:
    """What keeps a host from its secrets."""
    try:
        whole = Settings.from_layers(state.layers, host=state.host or "")
    except SettingsError as error:
        raise Failure(str(error)) from None
    for name in all_secrets(whole):
        try:
            whole.secret(name)
        except SecretError as error:
            yield str(error)
