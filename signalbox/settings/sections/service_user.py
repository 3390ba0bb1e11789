"""The section `service_user`."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationInfo, field_validator

from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.keys import public_keys
from signalbox.fields.messages import holds_key
from signalbox.fields.paths import AbsolutePath
from signalbox.fields.secrets import SecretName
from signalbox.fields.section import Section
from signalbox.fields.system import UserName


class ServiceUser(Section):
    """The user that Claude Code runs as; `authorized_keys` holds keys (files are read), `password` a secret's name."""

    enabled: bool
    name: UserName
    shell: AbsolutePath
    authorized_keys: list[str]
    sudo: Literal["none", "password", "nopasswd"]
    password: SecretName | None
    linger: bool

    @field_validator("authorized_keys")
    @classmethod
    def as_keys(cls, values: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("enabled") is False and not any(map(holds_key, values)):
            return values  # their files need not exist where nobody logs in
        keys: list[str] = []
        for value in values:
            keys += [value] if PLACEHOLDER.search(value) else public_keys(value)
        return list(dict.fromkeys(keys))
