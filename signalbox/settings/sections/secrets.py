"""The section `secrets`."""

from __future__ import annotations

from typing import Annotated, Literal

from signalbox.fields.checks import matching
from signalbox.fields.paths import FilePath, ScopedFile
from signalbox.fields.secrets import KeySource
from signalbox.fields.section import Section


class Secrets(Section):
    """Where secrets come from, and how they lie on a host; `key` opens files, `keys` those of a scope."""

    enabled: bool
    on_host: Literal["credentials", "plain"]
    source: Literal["environment", "vault", "ansible_vault", "sops", "age", "op", "pass"]
    key: KeySource
    keys: dict[str, KeySource]
    vault_files: ScopedFile
    ansible_vault_files: list[ScopedFile]
    sops_files: ScopedFile
    age_files: ScopedFile
    age_identity: FilePath | None
    op_entry: Annotated[str, matching(r"op://[^{]*\{name\}.*", "a 1Password reference", '"op://VAULT/{name}/FIELD"')]
    pass_entry: Annotated[str, matching(r"[^-{].*\{name\}.*", "a pattern of entries", '"signalbox/{scope}/{name}"')]
