"""Secrets: provider keys in a file that only the gateway's user reads, and the gateway's own key, made on the host."""

from __future__ import annotations

import shlex

from pyinfra.api import deploy

from signalbox.operations import directories, file, generated_key, key_copy
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.sections import Secrets

BELOW = ".config/signalbox/gateway"


def provider_env(values: dict[str, Secret]) -> str:
    """Return the file that the gateway's container sources: NAME='value' lines."""
    lines = [f"{name}={shlex.quote(value.reveal())}\n" for name, value in sorted(values.items())]
    return "# Placed by Signalbox; read by the gateway's container alone.\n" + "".join(lines)


@deploy("Secrets")
def secrets(
    settings: Secrets, keys: dict[str, Secret], lane_keys: dict[str, Secret], gateway: Account, account: Account
) -> None:
    """Give each user what it needs and no more.

    + keys: the providers', by name, for `gateway`'s user alone.
    + lane_keys: those of lanes that go past the gateway, for `account`, who runs Claude Code and has the gateway's key.
    """
    if not settings.enabled:
        return
    for each in dict.fromkeys((account, gateway)):
        below = [".config", ".config/signalbox", *([BELOW] if each == gateway else [])]
        directories(
            name=f"{each.name}: secrets have their directories",
            paths=[each.path(path) for path in below],
            mode="700",
            user=each.name,
        )
    file(
        name=f"{gateway.name}: the gateway has {', '.join(sorted(keys)) or 'no provider key'}",
        path=gateway.path(f"{BELOW}/provider.env"),
        content=provider_env(keys),
        mode="600",
        user=gateway.name,
        secret=True,
    )
    key = gateway.path(f"{BELOW}/gateway.key")
    generated_key(
        name=f"{gateway.name}: the gateway has a key of its own", path=key, account=gateway.name, home=gateway.home
    )
    key_copy(
        name=f"{account.name} has the gateway's key",
        path=account.path(".config/signalbox/gateway.key"),
        source=key,
        account=account.name,
    )
    for secret, value in sorted(lane_keys.items()):
        file(
            name=f"{account.name} has {secret} for its lanes",
            path=account.path(f".config/signalbox/{secret}.key"),
            content=f"{value.reveal()}\n",
            mode="600",
            user=account.name,
            secret=True,
        )
