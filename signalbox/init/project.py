"""From answers to a project: what is wished, the settings that come of it, and the secrets that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from signalbox.init import files
from signalbox.init.about_clouds import CLAUDES
from signalbox.init.about_host import split_address
from signalbox.init.about_models import loaded_context, token_name
from signalbox.init.about_network import ca_paths
from signalbox.init.question import Known
from signalbox.init.shape import listed
from signalbox.init.wishes import Local, Wishes, accounts, group_settings, host_settings, needed_secrets
from signalbox.secrets import Secret
from signalbox.settings import Settings
from signalbox.settings.layers import defaults, merge
from signalbox.settings.settings import sections
from signalbox.vault import changes as vault
from signalbox.vault.reading import Keyring, VaultFiles

_MIRRORS = ("debian", "mise", "node", "npm", "litellm")


def wishes(known: Known) -> Wishes:
    """Return what the answers ask for."""
    answers = known.answers
    return replace(
        reached(known),
        local=_local(known),
        cloud=answers["cloud"],
        resource=answers.get("foundry_resource", ""),
        deployments={name: answers[f"foundry_{name.split('-')[1]}"] for name in CLAUDES if "foundry_opus" in answers},
        urls=_urls(answers),
    )


def reached(known: Known) -> Wishes:
    """Return what the answers tell of the host and of the network, with no model yet."""
    answers = known.answers
    where, port = split_address(answers["host"])
    return Wishes(
        address=where,
        port=port,
        user=answers["ssh_user"],
        key=answers["ssh_key"],
        host_key=known.host_key.line if known.host_key else "",
        sudo=known.machine.sudo if known.machine else "root",
        logins=tuple(listed(answers["logins"])),
        network=_network(answers),
        vault_key=answers["vault_key"],
    )


def _local(known: Known) -> Local | None:
    server = known.server
    if server is None:
        return None
    context = loaded_context(known) or int(known.answers["context"])
    token = token_name(known) in known.secrets
    return Local(server.kind, server.url, known.answers["model"], context, token)


def _network(answers: Mapping[str, str]) -> dict[str, Any]:
    if answers["network"] != "mirrors":
        return {}
    shipped = defaults()["mirrors"]
    given = {name: answers[f"mirror_{name}"] for name in _MIRRORS}
    mirrors = {name: url for name, url in given.items() if url not in ("standard", shipped[name])}
    authorities = [str(Path(path).expanduser()) for path in ca_paths(answers["ca_certificates"])]
    return {"mirrors": mirrors} | ({"extra_ca_certificates": authorities} if authorities else {})


def _urls(answers: Mapping[str, str]) -> dict[str, str]:
    urls = {}
    for account in accounts(answers["cloud"]):
        url = answers.get("foundry_url" if account == "foundry" else "api_url", "standard")
        if url not in ("standard", defaults()["clouds"][account].get("url")):
            urls[account] = url
    return urls


def merged_sections(root: Path, wished: Wishes) -> dict[str, Any]:
    """Return the valid sections that pins are resolved with."""
    return sections(_layers(root, wished, {}), wished.address, ("pins", "mirrors", "extra_ca_certificates"))


def validated(root: Path, wished: Wishes, pins: Mapping[tuple[str, ...], str | None]) -> None:
    """Prove that a deploy will take the settings, before anything is written.

    Raises:
        SettingsError: it would not.
    """
    data: dict[str, Any] = {}
    for path, value in pins.items():
        part: Any = value
        for key in reversed(("pins", *path)):
            part = {key: part}
        data = merge(data, part)
    Settings.from_layers(_layers(root, wished, data), host=wished.address)


def _layers(root: Path, wished: Wishes, pins: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    group = merge(files.literals(root / files.GROUP_DATA), group_settings(wished))
    return [
        ("group_data/all.py", merge(defaults(), pins)),
        (f"group {files.GROUP}", group),
        ("host", host_settings(wished)),
    ]


def secrets_to_store(wished: Wishes, secrets: Mapping[str, Secret]) -> dict[str, Secret]:
    """Return those that the settings need, which go into the vault."""
    return {name: secrets[name] for name in needed_secrets(wished) if name in secrets}


def store(wished: Wishes, secrets: Mapping[str, Secret], scope: str = "all") -> Path:
    """Put secrets into the vault, which is made if need be; those that are there get the new value.

    Raises:
        SecretError: its key cannot be had, or it cannot be written.
    """
    found, keys = VaultFiles(defaults()["secrets"]["vault_files"]), Keyring(wished.vault_key, {})
    path = found.path(scope)
    if not path.exists():
        vault.create(found, keys, scope)
    vault.change(found, keys, scope, lambda each: each.with_values(list(secrets.items())))
    return path


def first_lane(wished: Wishes) -> str:
    """Return the command to try first."""
    return "claude-local" if wished.cloud == "none" else "claude-routed"
