"""Gateway: LiteLLM by digest, run in the foreground by a systemd user unit, reachable on the loopback alone."""

from __future__ import annotations

import yaml
from pyinfra.api import deploy

from signalbox.operations import directories, file, handed_directory, image, service
from signalbox.operations.files import sha256
from signalbox.render import render
from signalbox.routes import Container
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.sections import Gateway
from tasks.secrets import BELOW, provider_env

AUDIT = "/var/lib/signalbox/audit"


@deploy("Gateway")
def gateway(
    settings: Gateway, account: Account, reader: Account, container: Container, keys: dict[str, Secret]
) -> None:
    """Run `container` for `account`; a changed one of `keys`, the providers', restarts it.

    + reader: who may read the audit.
    """
    if not settings.enabled:
        return
    user, home = account.name, account.path(BELOW)
    unit = account.path(".config/systemd/user/litellm.service")
    paths = {name: f"{home}/{name}" for name in ("config.yaml", "start", "provider.env", "gateway.key")}
    inputs = (unit, *paths.values())
    contents = {
        paths["config.yaml"]: "# Placed by Signalbox; changes here are undone by the next deploy.\n"
        + yaml.safe_dump(container.config, sort_keys=False, allow_unicode=True),
        paths["start"]: render("gateway/start", entrypoint=settings.entrypoint),
        unit: render(
            "gateway/litellm.service",
            settings=settings,
            reference=container.image,
            environment=container.environment,
            paths=paths,
            inputs=inputs,
            host_loopback=container.host_loopback,
            audit=AUDIT,
        ),
    }
    directories(
        name=f"{user}: the gateway has its directories",
        paths=[account.path(below) for below in (".config", ".config/systemd", ".config/systemd/user", BELOW)],
        mode="700",
        user=user,
    )
    handed_directory(
        name=f"{user}: the audit has its directory, which {reader.name} may read",
        path=AUDIT,
        mode="2750",
        user=user,
        group=reader.name,
    )
    image(name=f"{user}: the gateway's image is there", account=user, home=account.home, reference=container.image)
    for path, content in contents.items():
        mode = "755" if path == paths["start"] else "644"
        file(name=f"{user}: {path.rsplit('/', 1)[1]} is in place", path=path, content=content, mode=mode, user=user)
    service(
        name=f"{user}: litellm.service is enabled and runs what is on disk",
        unit="litellm.service",
        account=user,
        home=account.home,
        inputs={
            **{path: sha256(content) for path, content in contents.items()},
            paths["provider.env"]: sha256(provider_env(keys)),
            paths["gateway.key"]: None,
        },
    )
