"""Which source a host's secrets come from: the setting `secrets.source`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signalbox.secrets import external_tools
from signalbox.secrets.source import Environment, ScopedFiles, Source
from signalbox.settings.sections.secrets import Secrets
from signalbox.vault import ansible_vault
from signalbox.vault.keyring import vault_reader


def _environment(_settings: Secrets, _groups: Sequence[str]) -> Source:
    return Environment()


def _vault(settings: Secrets, groups: Sequence[str]) -> Source:
    return ScopedFiles(
        [settings.vault_files],
        groups,
        vault_reader(settings.vault_files, settings.key, tuple(settings.keys.items())),
        lambda name, path: f"run `signalbox secrets {f'set {name}' if path.exists() else 'init'}`",
    )


def _ansible_vault(settings: Secrets, groups: Sequence[str]) -> Source:
    return ScopedFiles(
        settings.ansible_vault_files,
        groups,
        ansible_vault.reader(settings.key),
        lambda name, path: f"add {name} with `ansible-vault edit {path}`",
    )


def _sops(settings: Secrets, groups: Sequence[str]) -> Source:
    return ScopedFiles(
        [settings.sops_files], groups, external_tools.sops_reader(), lambda name, path: f"add {name} with `sops {path}`"
    )


def _age(settings: Secrets, groups: Sequence[str]) -> Source:
    return ScopedFiles(
        [settings.age_files],
        groups,
        external_tools.age_reader(settings.age_identity),
        lambda name, path: f"add a line {name}=… to what is encrypted as {path}",
    )


def _op(settings: Secrets, groups: Sequence[str]) -> Source:
    return external_tools.onepassword(settings.op_entry, groups)


def _pass(settings: Secrets, groups: Sequence[str]) -> Source:
    return external_tools.password_store(settings.pass_entry, groups)


SOURCES: dict[str, Callable[[Secrets, Sequence[str]], Source]] = {
    "environment": _environment,
    "vault": _vault,
    "ansible_vault": _ansible_vault,
    "sops": _sops,
    "age": _age,
    "op": _op,
    "pass": _pass,
}


def source_for(settings: Secrets, groups: Sequence[str]) -> Source:
    """The source that settings choose, for a host in these groups (the lowest first)."""
    return SOURCES[settings.source](settings, groups)
