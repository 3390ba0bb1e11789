"""The section `ssh`."""

from __future__ import annotations

from typing import Annotated, Literal

from signalbox.fields.checks import between, matching
from signalbox.fields.networks import SparedName
from signalbox.fields.section import Section

# sshd_config(5), PATTERNS, and user@host.
Login = Annotated[str, matching(r"[a-z_*?][\w.*?-]*(@[\w.:*?/-]+)?", "a user", 'one such as "claude"')]
Line = Annotated[str, matching(r"[^\s#][^\n\0]*", "a line of sshd_config", 'one such as "Match User backup"')]


class Ssh(Section):
    """sshd's drop-in."""

    enabled: bool
    root_login: Literal["key", "no"]
    password_login: bool
    password_users: list[Login]
    classic_kex: bool
    allow_users: list[Login]
    max_auth_tries: Annotated[int, between(1, 20, "tries")]
    tcp_forwarding: bool
    unpunished: list[SparedName]
    extra: list[Line]
