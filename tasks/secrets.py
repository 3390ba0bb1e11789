"""Secrets: provider keys that only the gateway's user reads, and the gateway's own key, made on the host."""

from __future__ import annotations

import shlex

from pyinfra import host

from signalbox.desired.render import render
from signalbox.desired.secret_paths import GATEWAY, GATEWAY_KEY, gateway_secret, gateway_secrets, lane_secret
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import warn
from signalbox.facts import BILLED, KeySettings, Sessions
from signalbox.operations import directories, file, generated_key, key_copy, new_key, secret_file, service
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.sections.secrets import Secrets
from signalbox.shell.secret_files import reader


@deploy("Secrets")
def secrets(
    settings: Secrets,
    keys: dict[str, Secret],
    lane_keys: dict[str, Secret],
    gateway: Account,
    account: Account,
    kept: tuple[str, ...],
    set_aside: tuple[str, ...],
) -> None:
    """Give each user what it needs and no more.

    + keys: the providers', by name, for `gateway`'s user alone.
    + lane_keys: those of lanes that go past the gateway, for `account`, who runs Claude Code and has the gateway's key.
    + kept: names of keys that no shell of `account` shall know.
    + set_aside: files of `account` that are gone after this run.
    """
    if not settings.enabled:
        return
    for found in host.get_fact(KeySettings, user=account.name, home=account.home, names=(*BILLED, *kept)):
        if found.variable in BILLED:
            warn(
                f"{found.path}, line {found.line}, sets {found.variable}: Claude Code takes that without asking, past"
                " the lane and on another bill; take the line out, and change a key that others could read"
            )
        elif found.path.removeprefix("~/") not in set_aside:
            warn(
                f"{found.path}, line {found.line}, holds {found.variable}, a provider's key, in clear: the agent can"
                " read it; run `signalbox adopt`, or name the file in by_hand.files, and change the key"
            )
    for each in dict.fromkeys((account, gateway)):
        below = [".config", ".config/signalbox"]
        below += [GATEWAY, f"{GATEWAY}/secrets"] if each == gateway else []
        directories(
            name=f"{each.name}: secrets have their directories",
            paths=[each.path(path) for path in below],
            mode="700",
            user=each.name,
        )
    for secret, value in sorted(keys.items()):
        secret_file(
            name=f"{gateway.name}: the gateway has {secret}",
            path=gateway_secret(settings, gateway, secret),
            value=value.reveal(),
            account=gateway.name,
            home=gateway.home,
            together=gateway_secrets(settings, gateway, keys),
        )
    key = gateway_secret(settings, gateway, GATEWAY_KEY)
    generated_key(
        name=f"{gateway.name}: the gateway has a key of its own",
        path=key,
        account=gateway.name,
        home=gateway.home,
        copy=(lane_secret(settings, account, "gateway"), account.name, account.home),
    )
    _known_to(settings, gateway, account, key)
    for secret, value in sorted(lane_keys.items()):
        secret_file(
            name=f"{account.name} has {secret} for its lanes",
            path=lane_secret(settings, account, secret),
            value=value.reveal(),
            account=account.name,
            home=account.home,
        )
    _shells(settings, account, {**lane_keys, **(keys if gateway == account else {})})


def _shells(settings: Secrets, account: Account, held: dict[str, Secret]) -> None:
    """Have shells know the gateway's key; plain: and all that `account` holds, as the guide has it."""
    plain, key = settings.on_host == "plain", reader(lane_secret(settings, account, "gateway"))
    if plain:
        lines = [f"{name}={shlex.quote(value.reveal())}" for name, value in sorted(held.items())]
        head = "# Placed by Signalbox; changes here are undone by the next deploy."
        secret_file(
            name=f"{account.name}: ~/.config/claude-secrets.env has {', '.join([*sorted(held), GATEWAY_KEY])}",
            path=account.path(".config/claude-secrets.env"),
            value="\n".join([head, *lines, f'{GATEWAY_KEY}="$({key})"']),
            account=account.name,
            home=account.home,
        )
    file(
        name=f"{account.name}: shells know the gateway's key",
        path=account.path(".config/signalbox/secrets.sh"),
        content=render("secrets/secrets.sh", plain=plain, reader=key),
        user=account.name,
    )


@deploy("Gateway key")
def rotated_gateway_key(settings: Secrets, gateway: Account, account: Account, port: int) -> None:
    """Have a new key of the gateway, which listens on `port`, known to `account`; the old one is refused then."""
    key = gateway_secret(settings, gateway, GATEWAY_KEY)
    for each in host.get_fact(Sessions, user=account.name, port=port):
        warn(
            f"process {each.pid} ({each.lane}, on {each.terminal}, for {each.age}) has the old key and will be refused;"
            f" leave it with /exit and go on with `{each.lane} --continue`"
        )
    new_key(name=f"{gateway.name}: the gateway has a new key", path=key, account=gateway.name)
    service(
        name=f"{gateway.name}: litellm.service runs with the new key",
        unit="litellm.service",
        account=gateway.name,
        home=gateway.home,
        inputs={key: None},
        reloaded=(key,),
    )
    _known_to(settings, gateway, account, key)


def _known_to(settings: Secrets, gateway: Account, account: Account, key: str) -> None:
    key_copy(
        name=f"{account.name} has the gateway's key",
        path=lane_secret(settings, account, "gateway"),
        source=key,
        account=account.name,
        home=account.home,
        owner=gateway.name,
        owner_home=gateway.home,
    )
