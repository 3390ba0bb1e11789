"""Gateway: LiteLLM by digest, run in the foreground by a systemd user unit, reachable on the loopback alone."""

from __future__ import annotations

import yaml
from pyinfra import host
from pyinfra.api import deploy

from signalbox.facts import SecretFile
from signalbox.facts.secrets import reader
from signalbox.facts.users import digests
from signalbox.operations import directories, file, handed_directory, image, only_unit, service
from signalbox.operations.files import sha256
from signalbox.render import render
from signalbox.routes import Container
from signalbox.secrets import Secret
from signalbox.secrets.on_host import GATEWAY, GATEWAY_KEY, gateway_secret
from signalbox.settings import Account
from signalbox.settings.sections import Gateway, Secrets

AUDIT = "/var/lib/signalbox/audit"


@deploy("Gateway")
def gateway(
    settings: Gateway,
    account: Account,
    auditor: Account,
    container: Container,
    secrets: Secrets,
    keys: dict[str, Secret],
) -> None:
    """Run `container` for `account`; a changed one of `keys`, the providers', restarts it.

    + auditor: who may read the audit. secrets: how keys are kept on the host.
    """
    if not settings.enabled:
        return
    user, home = account.name, account.path(GATEWAY)
    unit = account.path(".config/systemd/user/litellm.service")
    paths = {name: f"{home}/{name}" for name in ("config.yaml", "start")}
    key_files = {name: gateway_secret(secrets, account, name) for name in (GATEWAY_KEY, *sorted(keys))}
    contents = {
        paths["config.yaml"]: "# Placed by Signalbox; changes here are undone by the next deploy.\n"
        + yaml.safe_dump(container.config, sort_keys=False, allow_unicode=True),
        paths["start"]: render("gateway/start", entrypoint=settings.entrypoint, gateway_key=GATEWAY_KEY),
        unit: render(
            "gateway/litellm.service",
            settings=settings,
            reference=container.image,
            environment=container.environment,
            paths=paths,
            readers={name: reader(path) for name, path in key_files.items()},
            digests=digests((unit, *paths.values(), *key_files.values())),
            host_loopback=container.host_loopback,
            audit=AUDIT,
        ),
    }
    directories(
        name=f"{user}: the gateway has its directories",
        paths=[account.path(below) for below in (".config", ".config/systemd", ".config/systemd/user", GATEWAY)],
        mode="700",
        user=user,
    )
    handed_directory(
        name=f"{user}: the audit has its directory, which {auditor.name} may read",
        path=AUDIT,
        mode="2750",
        user=user,
        group=auditor.name,
    )
    image(name=f"{user}: the gateway's image is there", account=user, home=account.home, reference=container.image)
    for path, content in contents.items():
        mode = "755" if path == paths["start"] else "644"
        file(name=f"{user}: {path.rsplit('/', 1)[1]} is in place", path=path, content=content, mode=mode, user=user)
    only_unit(name=f"{user} alone runs a gateway of ours", unit="litellm.service", account=user)
    service(
        name=f"{user}: litellm.service is enabled and runs what is on disk",
        unit="litellm.service",
        account=user,
        home=account.home,
        inputs={
            **{path: sha256(content) for path, content in contents.items()},
            **dict.fromkeys(key_files.values()),
            **{
                key_files[name]: "the new secret"
                for name, value in keys.items()
                if not _has(account, key_files[name], value)
            },
        },
    )


def _has(account: Account, path: str, value: Secret) -> bool:
    """Return whether a key is there already: one that will be replaced restarts the gateway, in the plan too."""
    now = host.get_fact(SecretFile, path=path, user=account.name, home=account.home)
    return bool(now.holds(value.reveal()))
