"""The sections of group_data/all.py, typed. The models hold no default: group_data/all.py does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from signalbox.settings.fields import (
    PLACEHOLDER,
    AbsolutePath,
    ContainerName,
    Digest,
    FilePath,
    Flag,
    FunctionName,
    HomePath,
    Image,
    Integrity,
    KeySource,
    ModelId,
    ModelName,
    Package,
    Port,
    ScopedFile,
    SecretName,
    Sha256,
    TimeZone,
    UserName,
    Version,
    WebUrl,
    between,
    checked,
    matching,
)
from signalbox.settings.keys import ca_certificates, host_key, public_keys
from signalbox.settings.problems import holds_key, show

ARCHITECTURES = ("amd64", "arm64")  # as Debian calls them

Seconds = Annotated[int, between(1, 86400, "seconds")]
Mebibytes = Annotated[int, between(0, 1 << 24, "MiB")]
RecordName = Annotated[str, matching(r"[a-z0-9][a-z0-9_-]*", "a name", "a-z, 0-9, _ and -")]
MailAddress = Annotated[str, matching(r"[^\s@]+@[^\s@]+", "a mail address", 'one such as "me@example.org"')]
MailServer = Annotated[
    str, matching(r"[\w.-]+(:\d{1,5})?", "a mail server", 'its host, or "host:port", such as "mail.example.org:25"')
]


class Section(BaseModel):
    """One section: unknown keys are refused, and values are never converted ("4000" is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Connection(Section):
    """How pyinfra becomes root on a host; `sudo_password` is a secret's name."""

    host_key: Annotated[str, checked(host_key)] | None
    sudo: bool
    sudo_password: SecretName | None


class Mirrors(Section):
    """Base URLs of downloads, without a trailing slash; None: the default of the tool that downloads."""

    debian: WebUrl | None
    debian_security: WebUrl | None
    docker: WebUrl
    mise: WebUrl
    node: WebUrl
    npm: WebUrl | None
    litellm: Image


class Checksums(Section):
    """A sha256 for each architecture; None: not resolved."""

    amd64: Sha256 | None
    arm64: Sha256 | None


class Integrities(Section):
    """npm's integrity of a package and of its binary for each architecture; None: not resolved."""

    package: Integrity | None
    amd64: Integrity | None
    arm64: Integrity | None


class ArchivePin(Section):
    """A version whose release archives have known checksums."""

    version: Version
    sha256: Checksums


class ClaudeCodePin(Section):
    """A version of Claude Code on npm."""

    version: Version
    integrity: Integrities

    @field_validator("version")
    @classmethod
    def works(cls, value: str) -> str:
        # Their own release notes: requests to endpoints other than Anthropic's fail.
        if value in {"2.1.265", "2.1.266", "2.1.267"}:
            raise ValueError(f"{show(value)} is broken on endpoints other than Anthropic's; write 2.1.268 or newer")
        return value


class ImagePin(Section):
    """An image's tag, for people, and the digest that decides."""

    version: Version
    digest: Digest | None

    @field_validator("version")
    @classmethod
    def clean(cls, value: str) -> str:
        if value in {"1.82.7", "1.82.8"}:
            raise ValueError(f"{show(value)} was malware that stole credentials; write another version")
        return value


class Pins(Section):
    """Versions with their checksums."""

    mise: ArchivePin
    node: ArchivePin
    claude_code: ClaudeCodePin
    litellm: ImagePin


class Preflight(Section):
    """What must be so before anything is changed."""

    enabled: bool
    min_disk_mib: Mebibytes
    min_memory_mib: Mebibytes
    max_clock_skew_seconds: Seconds
    probe_timeout_seconds: Annotated[int, between(1, 60, "seconds")]


class Base(Section):
    """The Debian system itself."""

    enabled: bool
    packages: list[Package]
    timezone: TimeZone | None
    unattended_upgrades: bool


class ServiceUser(Section):
    """The user that Claude Code runs as; `authorized_keys` holds keys (files are read), `password` a secret's name."""

    enabled: bool
    name: UserName
    shell: AbsolutePath
    authorized_keys: list[str]
    sudo: Literal["none", "password", "nopasswd"]
    password: SecretName | None
    linger: bool

    @field_validator("authorized_keys")
    @classmethod
    def as_keys(cls, values: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("enabled") is False and not any(map(holds_key, values)):
            return values  # their files need not exist where nobody logs in
        keys: list[str] = []
        for value in values:
            keys += [value] if PLACEHOLDER.search(value) else public_keys(value)
        return list(dict.fromkeys(keys))


# What daemon.json has for other reasons.
DAEMON_KEYS = {
    "registry-mirrors": "rootless_docker.registry_mirrors",
    "host-gateway-ip": "rootless_docker.host_loopback",
}


class RootlessDocker(Section):
    """Docker of unprivileged users."""

    enabled: bool
    service_user: bool
    replaces_root: bool
    source: Literal["debian", "docker"]
    host_loopback: bool
    registry_mirrors: list[WebUrl]
    daemon: dict[str, Any]

    @field_validator("daemon")
    @classmethod
    def _not_what_has_a_setting(cls, daemon: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(daemon.keys() & DAEMON_KEYS.keys()):
            raise ValueError(f"holds {ours[0]}; use {DAEMON_KEYS[ours[0]]}")
        return daemon


class Toolchain(Section):
    """mise, Node and Claude Code of the service user."""

    enabled: bool


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


class Audit(Section):
    """The gateway's record of requests; `compared_with` is a model of LiteLLM's price list, None: do not compare."""

    max_mib: Annotated[int, between(1, 1024, "MiB")]
    old_files: Annotated[int, between(1, 1000, "files")]
    compared_with: ModelId | None


class Limits(Section):
    """What a container of the gateway may take, and a model server's answer, whatever it sends."""

    memory_mib: Annotated[int, between(768, 65536, "MiB")]
    tasks: Annotated[int, between(128, 32768, "tasks")]
    files: Annotated[int, between(256, 524288, "files")]
    answer_mib: Annotated[int, between(1, 256, "MiB")]
    stream_mib: Annotated[int, between(1, 1024, "MiB")]
    stream_events: Annotated[int, between(1000, 10_000_000, "events")]
    stream_seconds: Seconds


Limit = Annotated[int, between(1, 1 << 30, "a limit")]


class Client(Section):
    """Who else may use the gateway; `secret` is a secret's name, None: no limit."""

    secret: SecretName
    models: Annotated[list[ModelName], Field(min_length=1)]
    requests_per_minute: Limit | None
    tokens_per_minute: Limit | None
    parallel: Limit | None


class WebSearch(Section):
    """Who answers WebSearch where a model cannot search itself: a SearXNG, at `url` without /search."""

    kind: Literal["searxng"]
    url: WebUrl


class Gateway(Section):
    """LiteLLM, on the host's loopback; times in seconds."""

    enabled: bool
    user: UserName | None
    port: Port
    entrypoint: AbsolutePath
    start_timeout_seconds: Seconds
    drain_seconds: Seconds
    stream_timeout_seconds: Seconds
    request_timeout_seconds: Seconds
    retries: Annotated[int, between(0, 10, "tries")]
    cooldown_seconds: Seconds
    health_check_interval_seconds: Seconds
    fallbacks: dict[ModelName, list[ModelName]]
    quota_fallbacks: dict[ModelName, list[ModelName]]
    clients: dict[RecordName, Client]
    web_search: WebSearch | None
    audit: Audit
    limits: Limits


class Remove(Section):
    """What remove.py takes away beside what Signalbox placed."""

    homes: bool


class Lock(Section):
    """How a deploy keeps others away from a host; `reason` is told to them."""

    enabled: bool
    wait_seconds: Annotated[int, between(0, 86400, "seconds")]
    expires_minutes: Annotated[int, between(1, 1440, "minutes")]
    reason: str | None


class ByHand(Section):
    """What the service user has by hand, by the guide, and Signalbox does in its place: it is set aside."""

    enabled: bool
    containers: list[ContainerName]
    files: list[HomePath]
    functions: list[FunctionName]


class Leftovers(Section):
    """Taking away what earlier settings asked for."""

    enabled: bool


class Handover(Section):
    """Work for another lane: who does it, and what one piece of it may take (seconds, US dollars)."""

    lane: str
    timeout_seconds: Seconds
    budget_usd: Annotated[float, between(0, 1000, "US dollars")]


class Dispatch(Handover):
    """Work for the local lane, `parallel` pieces at once."""

    parallel: Annotated[int, between(1, 16, "tasks")]


class Sessions(Section):
    """What is kept of the sessions of Claude Code."""

    keep_days: Annotated[int, between(1, 36500, "days")]


class Launchers(Section):
    """The commands that start Claude Code in a lane; `flags` go before the caller's own."""

    enabled: bool
    flags: list[Flag]
    reopen_sessions: bool
    task_timeout_seconds: Seconds
    escalation: Handover
    dispatch: Dispatch

    @field_validator("flags")
    @classmethod
    def _not_what_has_a_setting(cls, flags: list[str]) -> list[str]:
        for flag in flags:
            if flag == "--dangerously-skip-permissions":
                raise ValueError(f'holds {flag}; write permission_mode = "bypass" in the lanes that shall have it')
        return flags


class Doctor(Section):
    """claude-doctor and its timer; sizes in MiB. None: no timer, no limit, no report by that way."""

    enabled: bool
    min_free_mib: Mebibytes
    max_key_days: Annotated[int, between(1, 36500, "days")] | None
    smoke_seconds: Seconds
    every_minutes: Annotated[int, between(1, 10080, "minutes")] | None
    webhook: WebUrl | None
    mail_to: MailAddress | None
    mail_from: MailAddress | None
    mail_server: MailServer | None


CaCertificate = Annotated[str, AfterValidator(ca_certificates)]
