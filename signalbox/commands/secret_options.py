"""What the commands of `signalbox secrets` share: their settings, and their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

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
    """What the settings say of secrets; read once it is needed, which help is not.

    Args:
        load: reads the layers of the settings, and the name of whom they are of. given: whether a host was named.
        key: in place of the setting secrets.key.
    """

    def __init__(self, load: Callable[[], tuple[Sequence[Layer], str]], given: bool, key: str | None) -> None:
        self._load, self._given, self._key = load, given, key

    @cached_property
    def _read(self) -> tuple[Sequence[Layer], str]:
        layers, host = self._load()
        return (layers if self._key is None else [*layers, ("--key", {"secrets": {"key": self._key}})]), host

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the settings."""
        return self._read[0]

    @property
    def host(self) -> str | None:
        """The host that was named; None: none was."""
        return self._read[1] if self._given else None

    @cached_property
    def settings(self) -> Secrets:
        """The section `secrets`."""
        try:
            found: Secrets = sections(self.layers, self._read[1], ("secrets",))["secrets"]
        except SettingsError as error:
            raise Failure(str(error)) from None
        return found

    @cached_property
    def files(self) -> VaultFiles:
        """The files of the vault."""
        return VaultFiles(self.settings.vault_files)

    @cached_property
    def keys(self) -> Keyring:
        """What opens them."""
        return Keyring(self.settings.key, self.settings.keys)


scope_option = click.option(
    "--for",
    "scope",
    default="all",
    metavar="GROUP|HOST",
    show_default=True,
    help="Whose file: of all hosts, of a group or of one host. A host's secrets go before its groups'.",
)


with_state = click.make_pass_decorator(State)
