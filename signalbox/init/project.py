"""From answers to a project: what is wished, the settings that come of it, and the secrets that they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from signalbox.init import clouds, files, managed_keys, pins_file
from signalbox.init.question import Known
from signalbox.init.questions import in_use
from signalbox.init.questions.models import loaded_context, token_name
from signalbox.init.questions.network import ca_paths
from signalbox.init.to_settings import Local, Wishes, group_settings, host_settings, needed_secrets
from signalbox.init.validators import listed, split_address
from signalbox.secrets import Secret
from signalbox.settings import Settings
from signalbox.settings.layers import Layer, data_of, defaults, merge
from signalbox.settings.settings import sections
from signalbox.vault import changes as vault
from signalbox.vault.keyring import Keyring, VaultFiles
from signalbox.vault.storage import Replacement


def wishes(known: Known) -> Wishes:
    """Return what the answers ask for."""
    answers = known.answers
    return replace(
        reached(known),
        local=_local(known),
        cloud=answers["cloud"],
        details={account: clouds.answered(account, answers) for account in clouds.accounts(answers["cloud"])},
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
        beside={**in_use.firewall(known), **in_use.gives_way(known)},
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
    given = {name: answers.get(f"mirror_{name}", "standard") for name in managed_keys.MIRRORS}
    mirrors = {name: url for name, url in given.items() if url not in ("standard", shipped[name])}
    authorities = [str(Path(path).expanduser()) for path in ca_paths(answers["ca_certificates"])]
    return {"mirrors": mirrors} | ({"extra_ca_certificates": authorities} if authorities else {})


def _urls(answers: Mapping[str, str]) -> dict[str, str]:
    urls = {account: clouds.own_address(account, answers) for account in clouds.accounts(answers["cloud"])}
    return {account: url for account, url in urls.items() if url is not None}


@dataclass(frozen=True)
class Draft:
    """A project's files as they shall be: by their paths, what each assigns.

    layers: of the host's settings, without pins. others: hosts of the same group whose settings would change too.
    touched: the sections in which.
    """

    wanted: Mapping[Path, Mapping[str, Any]]
    layers: tuple[Layer, ...]
    others: tuple[str, ...]
    touched: tuple[str, ...]


def group_of(root: Path, address: str, asked: str | None) -> str:
    """Return the group of a host: the one that it is in, or else the one that was asked for.

    Raises:
        FileError: it is in another than was asked for.
    """
    inventory = files.literals(root / files.INVENTORY)
    there = [name for name, each in inventory.items() if isinstance(each, list | tuple)]
    there = [name for name in there if address in files.entries(inventory, name)]
    usual = asked or Wishes.group
    if asked and there and asked not in there:
        raise files.FileError(f"--group: {address} is in {there[0]}; move it in {files.INVENTORY} first")
    return usual if usual in there or not there else there[0]


def drafted(root: Path, wished: Wishes) -> Draft:
    """Return the files that come of wishes: their settings replace those of earlier answers, and no others.

    Raises:
        FileError: a file is there that is no literal data.
    """
    before = files.literals(root / files.group_data(wished.group))
    below = [(str(path), data_of(root / path)) for path in (pins_file.PATH, files.ALL)]
    return draft(files.literals(root / files.INVENTORY), before, wished, below)


def draft(
    inventory: Mapping[str, Any], before: Mapping[str, Any], wished: Wishes, below: Sequence[Layer] = ()
) -> Draft:
    """Return what comes of wishes where an inventory and the settings of the host's group are there.

    below: what the project sets for all hosts.
    """
    hosts = files.entries(inventory, wished.group)
    beside = merge(managed_keys.without(hosts.get(wished.address, {}), managed_keys.HOST), host_settings(wished))
    group = merge(managed_keys.without(before, managed_keys.of_group(before)), group_settings(wished))
    shipped = {name: defaults()[name] for name in {**before, **group} if name in defaults()}
    old, new = merge(shipped, before), merge(shipped, group)
    touched = tuple(name for name in new if new[name] != old.get(name))
    return Draft(
        wanted={
            files.INVENTORY: files.with_entries(inventory, wished.group, {**hosts, wished.address: beside}),
            files.group_data(wished.group): group,
        },
        layers=(("group_data/all.py", defaults()), *below, (f"group {wished.group}", group), ("host", beside)),
        others=tuple(name for name in hosts if touched and name != wished.address),
        touched=touched,
    )


def sections_for_pins(draft: Draft, wished: Wishes) -> dict[str, Any]:
    """Return the valid sections that pins are resolved with."""
    return sections(draft.layers, wished.address, ("pins", "mirrors", "extra_ca_certificates"))


def validated(draft: Draft, wished: Wishes, pins: Mapping[str, Any]) -> None:
    """Prove that a deploy will take the settings with these pins, before anything is written.

    Raises:
        SettingsError: it would not.
    """
    shipped, *others = draft.layers
    Settings.from_layers([shipped, (str(pins_file.PATH), {"pins": pins}), *others], host=wished.address)


def secrets_to_store(wished: Wishes, secrets: Mapping[str, Secret]) -> dict[str, Secret]:
    """Return those that the settings need, which go into the vault."""
    return {name: secrets[name] for name in needed_secrets(wished) if name in secrets}


def store(wished: Wishes, secrets: Mapping[str, Secret], scope: str = "all") -> Callable[[], None]:
    """Put secrets into the vault, which is made if need be; those that are there get the new value.

    Returns:
        what gives back the vault as it was.

    Raises:
        SecretError: its key cannot be had, or it cannot be written; nothing was changed.
    """
    found, keys = VaultFiles(defaults()["secrets"]["vault_files"]), Keyring(wished.vault_key, {})
    path = found.path(scope)
    before = path.read_bytes() if path.exists() else None

    def back() -> None:
        path.unlink(missing_ok=True) if before is None else Replacement(path, before).put()

    try:
        if before is None:
            vault.create(found, keys, scope)
        vault.change(found, keys, scope, lambda each: each.with_values(list(secrets.items())))
    except BaseException:
        if before is None:
            back()
        raise
    return back


def first_lane(wished: Wishes) -> str:
    """Return the command to try first."""
    return "claude-local" if wished.cloud == clouds.NONE else "claude-routed"
