"""Where secrets lie on a host: encrypted for their user (`.cred`), or as they are (`.key`)."""

from __future__ import annotations

from collections.abc import Iterable

from signalbox.settings.account import Account
from signalbox.settings.sections.secrets import Secrets

GATEWAY = ".config/signalbox/gateway"  # below the home of the gateway's user
GATEWAY_KEY = "LITELLM_MASTER_KEY"  # as LiteLLM calls the key that its clients need


def gateway_secret(settings: Secrets, gateway: Account, name: str) -> str:
    """The path of a secret that the gateway gets when it starts."""
    return gateway.path(f"{GATEWAY}/secrets/{name}.{_suffix(settings)}")


def gateway_secrets(settings: Secrets, gateway: Account, names: Iterable[str]) -> tuple[str, ...]:
    """The paths of several, sorted: each task that looks at them asks the host the same."""
    return tuple(gateway_secret(settings, gateway, name) for name in sorted(names))


def lane_secret(settings: Secrets, account: Account, name: str) -> str:
    """The path of a secret of the service user: a lane's, or the gateway's key ("gateway")."""
    return account.path(f".config/signalbox/{name}.{_suffix(settings)}")


def _suffix(settings: Secrets) -> str:
    return "cred" if settings.on_host == "credentials" else "key"
