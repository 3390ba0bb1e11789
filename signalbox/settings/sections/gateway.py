"""The section `gateway`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from signalbox.fields.checks import between, matching
from signalbox.fields.models import ModelId, ModelName
from signalbox.fields.numbers import Port, Seconds
from signalbox.fields.paths import AbsolutePath
from signalbox.fields.secrets import SecretName
from signalbox.fields.section import Section
from signalbox.fields.system import UserName
from signalbox.fields.urls import WebUrl

LaneName = Annotated[str, matching(r"[a-z][a-z0-9-]*", "a lane's name", "one of `lanes`")]
RecordName = Annotated[str, matching(r"[a-z0-9][a-z0-9_-]*", "a name", "a-z, 0-9, _ and -")]


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


def _conditions(value: object) -> object:
    """What a rule does not name is no condition."""
    return {**dict.fromkeys(When.model_fields), **value} if isinstance(value, dict) else value


class When(Section):
    """What a request must be for a rule to say who answers it; None: that does not matter."""

    lane: LaneName | None
    images: bool | None
    tokens_over: Annotated[int, between(1000, 10_000_000, "tokens")] | None
    thinking: bool | None


class Rule(Section):
    """Which model answers requests of a kind."""

    when: Annotated[When, BeforeValidator(_conditions)]
    to: ModelName


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
    rules: list[Rule]
    clients: dict[RecordName, Client]
    web_search: WebSearch | None
    audit: Audit
    limits: Limits
