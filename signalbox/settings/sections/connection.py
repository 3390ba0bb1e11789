"""The section `connection`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import checked
from signalbox.fields.keys import host_key
from signalbox.fields.secrets import SecretName
from signalbox.fields.section import Section


class Connection(Section):
    """How pyinfra becomes root on a host; `sudo_password` is a secret's name."""

    host_key: Annotated[str, checked(host_key)] | None
    sudo: bool
    sudo_password: SecretName | None
