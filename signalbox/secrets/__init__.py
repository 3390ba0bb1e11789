"""Secrets: named in settings, and read here and nowhere else."""

from __future__ import annotations

from signalbox.secrets.secret import Secret, SecretError
from signalbox.secrets.source import Environment, Source, variable_of

__all__ = ["Environment", "Secret", "SecretError", "Source", "get", "variable_of"]


def get(name: str, host_name: str, source: Source) -> Secret:
    """The secret `name` for a host; `Settings.secret` is this with the host's own source.

    Args:
        name: as settings name it, such as ANTHROPIC_DIRECT_KEY.
        host_name: a pyinfra host's name.
        source: of that host, see signalbox/settings/secret_source.py.

    Raises:
        SecretError: there is none, or it is empty, or it holds a line break or NUL, or its source failed.
    """
    try:
        secret = source.find(name, host_name)
    except SecretError as error:
        raise SecretError(f"{host_name}: secret {name}: {error}") from None
    if secret is None:
        raise SecretError(f"{host_name}: secret {name} is not set or empty; {source.where(name, host_name)}")
    if problem := secret.problem():
        raise SecretError(
            f"{host_name}: secret {name} {problem}; set it again without: {source.where(name, host_name)}"
        )
    return secret
