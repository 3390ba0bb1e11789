"""Gateway: LiteLLM by digest behind a supervisor, a systemd user unit, reachable on the loopback alone."""

from __future__ import annotations

import yaml
from pyinfra import host

from signalbox.desired.gateway_config import Container
from signalbox.desired.gateway_container import AUDIT, container_json
from signalbox.desired.render import render
from signalbox.desired.secret_paths import GATEWAY, GATEWAY_KEY, gateway_secret, gateway_secrets
from signalbox.engine.deploy import deploy
from signalbox.facts import SecretFiles, SecretState
from signalbox.host import programs
from signalbox.operations import directories, file, handed_directory, image, only_unit, service
from signalbox.operations.files import sha256
from signalbox.operations.handover import StandIn
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.sections.gateway import Gateway
from signalbox.settings.sections.secrets import Secrets

# What LiteLLM loads; of what others share it needs these alone.
SHARED = ("__init__", "context", "model_names", "no_answer", "reasons", "thresholds")
PLUGINS = {**programs("gateway"), **{f"shared/{name}.py": programs("shared")[f"shared/{name}.py"] for name in SHARED}}
PLACED = "Placed by Signalbox; changes here are undone by the next deploy."


@deploy("Gateway")
def gateway(
    settings: Gateway,
    account: Account,
    auditor: Account,
    container: Container,
    secrets: Secrets,
    keys: dict[str, Secret],
) -> None:
    """Run `container` for `account`; what changed of it, or of `keys`, the providers', replaces it while it runs.

    + auditor: who may read the audit. secrets: how keys are kept on the host.
    """
    if not settings.enabled:
        return
    user, home = account.name, account.path(GATEWAY)
    held = _held(account, gateway_secrets(secrets, account, keys))
    key_files = {name: gateway_secret(secrets, account, name) for name in (GATEWAY_KEY, *sorted(keys))}
    reloaded = {
        f"{home}/config.yaml": f"# {PLACED}\n" + yaml.safe_dump(container.config, sort_keys=False, allow_unicode=True),
        f"{home}/start": render(
            "gateway/start", entrypoint=settings.entrypoint, gateway_key=GATEWAY_KEY, plugins=PLUGINS
        ),
        f"{home}/container.json": container_json(settings, container, key_files),
    }
    supervisor = {f"{home}/{path}": text for path, text in programs("supervisor").items()}
    unit = account.path(".config/systemd/user/litellm.service")
    restarted = supervisor | {
        unit: render(
            "gateway/litellm.service",
            port=settings.port,
            start_timeout_seconds=settings.start_timeout_seconds,
            limits=settings.limits,
            home=home,
            programs=f"{home}/supervisor",
            inputs=(unit, *supervisor),
        )
    }
    directories(
        name=f"{user}: the gateway has its directories",
        paths=[
            account.path(below)
            for below in (".config", ".config/systemd", ".config/systemd/user", GATEWAY, f"{GATEWAY}/supervisor")
        ],
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
    contents = reloaded | restarted
    for path, content in contents.items():
        mode = "755" if path == f"{home}/start" else "644"
        file(name=f"{user}: {path.rsplit('/', 1)[1]} is in place", path=path, content=content, mode=mode, user=user)
    only_unit(name=f"{user} alone runs a gateway of ours", unit="litellm.service", account=user)
    service(
        name=f"{user}: litellm.service is enabled and runs what is on disk",
        unit="litellm.service",
        account=user,
        home=account.home,
        patience=settings.start_timeout_seconds * 2 + 120,  # as the unit has it, and what is around a start
        inputs={
            **{path: sha256(content) for path, content in contents.items()},
            **dict.fromkeys(key_files.values()),
            **{
                key_files[name]: "the new secret"
                for name, value in keys.items()
                # One that will be replaced makes another gateway, in the plan too.
                if not held.get(key_files[name], SecretState()).holds(value.reveal())
            },
        },
        reloaded=(*reloaded, *key_files.values()),
        stand_in=StandIn(
            user,
            account.home,
            home,
            settings.port,
            settings.start_timeout_seconds,
            settings.drain_seconds,
            restarted[unit],
        ),
    )


def _held(account: Account, paths: tuple[str, ...]) -> dict[str, SecretState]:
    """Return what the files of keys hold now, by path."""
    return host.get_fact(SecretFiles, paths=paths, user=account.name, home=account.home) if paths else {}
