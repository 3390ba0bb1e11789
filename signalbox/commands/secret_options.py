"""What the commands of `signalbox secrets` share: their settings, and their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from signalbox.console import (
    Failure,
)
from signalbox.fields.secrets import secret_name
from signalbox.secrets import SecretError
from signalbox.settings import SettingsError
from signalbox.settings.layers import Layer
from signalbox.settings.sections.secrets import Secrets
from signalbox.settings.settings import sections
from signalbox.vault.keyring import Keyring, VaultFiles

P = ParamSpec("P")
R = TypeVar("R")


class SecretsGroup(click.Group):
    """A group whose commands tell what is wrong with a secret in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SecretError as error:
            raise Failure(str(error)) from None


class SecretName(click.ParamType[str]):
    """A secret's name. What is wrong is told without repeating it: it may be the secret itself."""

    name = "name"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        try:
            return secret_name(str(value))
        except ValueError as error:
            raise click.UsageError(f"NAME: {error}") from None


class State:
    """What the settings say of secrets."""

    def __init__(self, layers: Sequence[Layer], host: str, given: bool, key: str | None) -> None:
        if key is not None:
            layers = [*layers, ("--key", {"secrets": {"key": key}})]
        try:
            self.settings: Secrets = sections(layers, host, ("secrets",))["secrets"]
        except SettingsError as error:
            raise Failure(str(error)) from None
        self.layers, self.host = layers, host if given else None
        self.files = VaultFiles(self.settings.vault_files)
        self.keys = Keyring(self.settings.key, self.settings.keys)


scope_option = click.option(
    "--for",
    "scope",
    default="all",
    metavar="GROUP|HOST",
    show_default=True,
    help="Whose file: of all hosts, of a group or of one host. A host's secrets go before its groups'.",
)


def with_state(command: Callable[Concatenate[State, P], R]) -> Callable[P, R]:
    """Give a command what the group has made ready: read once it runs, so that --help needs no inventory."""

    @click.pass_obj
    def with_it(read: Callable[[], State], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return command(read(), *args, **kwargs)

    return update_wrapper(with_it, command)
