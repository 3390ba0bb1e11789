"""The kinds of values: each checks one string or number and says what to write instead.

A value that still holds a placeholder such as `<LMSTUDIO_IP>` passes here: whether it may stay
depends on whether its section is enabled, which rules.py decides.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from signalbox.settings.problems import holds_key, nearest, show

PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*>")
CONTEXT_FLOOR = 32768  # tokens; Claude Code's own prompt fills most of less


def checked(check: Callable[[str], str]) -> AfterValidator:
    """A validator from a check that returns the value or raises ValueError with what to write."""
    return AfterValidator(lambda value: value if PLACEHOLDER.search(value) else check(value))


def matching(pattern: str, what: str, write: str) -> AfterValidator:
    """A string that is a `what`; `write` tells a right one."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{show(value)} is not {what}; write {write}")
        return value

    return checked(check)


def between(low: int, high: int, unit: str) -> AfterValidator:
    """A whole number of `unit` within both bounds."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range; write {low} to {high} ({unit})")
        return value

    return AfterValidator(check)


def _port(value: int) -> int:
    if not 1024 <= value <= 65535:
        raise ValueError(f"{value} is not a port that a user without root may open; write one from 1024 to 65535")
    return value


def _context(value: int) -> int:
    if value < CONTEXT_FLOOR:
        raise ValueError(
            f"{value} is below the {CONTEXT_FLOOR} that Claude Code needs; load the model with at least {CONTEXT_FLOOR}"
        )
    return value


def _user(value: str) -> str:
    # adduser(8), NAME_REGEX; useradd(8): at most 32 characters.
    if value == "root":
        raise ValueError('"root" would give an agent the whole host; write an unprivileged user, such as "claude"')
    if not re.fullmatch(r"[a-z][-a-z0-9_]{0,31}", value):
        raise ValueError(
            f"{show(value)} is not a Debian user name (a-z first, then a-z, 0-9, - and _, at most 32); "
            'write one such as "claude"'
        )
    return value


_RESERVED_SECRETS = {
    "ANTHROPIC_API_KEY": "Claude Code itself reads ANTHROPIC_API_KEY and would bill that account "
    "past the gateway; write ANTHROPIC_DIRECT_KEY",
    "ANTHROPIC_AUTH_TOKEN": "Claude Code itself reads ANTHROPIC_AUTH_TOKEN and would send it to every "
    "endpoint; write a name of your own, such as LMSTUDIO_TOKEN",
    "LITELLM_MASTER_KEY": "LITELLM_MASTER_KEY is the gateway's own key, made on the host; "
    "write a name of your own, such as LMSTUDIO_TOKEN",
}


def secret_name(value: str) -> str:
    """The name of a secret. The message never repeats the value: it may be the secret itself."""
    if value in _RESERVED_SECRETS:
        raise ValueError(_RESERVED_SECRETS[value])
    literal = holds_key(value) or len(value) > 64 or re.fullmatch(r"[0-9A-Fa-f]{24,}", value)
    if literal:
        raise ValueError(
            "this looks like a secret itself, and inventory data must hold none; export it as "
            "a variable such as ANTHROPIC_DIRECT_KEY and write that name"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value):
        raise ValueError(
            "this is not the name of a secret (A-Z, 0-9 and single _, not repeated here as it may be "
            "the secret itself); write a name such as ANTHROPIC_DIRECT_KEY"
        )
    return value


def address_of(url: str) -> str:
    """The host part of a URL, without a port and brackets."""
    return urlsplit(url).hostname or ""


def host_problem(host: str) -> str | None:
    if ":" in host or re.fullmatch(r"[\d.]+", host):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return f"{show(host)} is not an IP address; write one such as 192.168.1.20"
        if address.is_unspecified or address.is_multicast:
            return f"{show(host)} is no machine's own address; write the server's, such as 192.168.1.20"
        return None
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if not re.fullmatch(rf"{label}(\.{label})*\.?", host):
        return f"{show(host)} is not a host name; write a name or an address such as 192.168.1.20"
    return None


def _web_url(value: str) -> str:
    """An http(s) URL without user, query, double or trailing slash."""
    if not re.match(r"https?://", value):
        raise ValueError(f"{show(value)} is not a web address; write http://… or https://…")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"{show(value)} has a bad address or port; write one such as http://192.168.1.20:1234"
        ) from None
    if parts.username is not None:
        raise ValueError("this URL holds a user or password, and inventory data must hold none; take it out")
    if problem := host_problem(parts.hostname or ""):
        raise ValueError(problem)
    if port == 0:
        raise ValueError(f"{show(value)} has port 0; write the server's port")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    clean = f"{parts.scheme}://{parts.netloc}{path}"
    if parts.query or parts.fragment:
        raise ValueError(f"{show(value)} has a query or fragment; write {show(clean)}")
    if path != parts.path:
        how = "a double slash" if "//" in parts.path else "a trailing slash"
        raise ValueError(f"{show(value)} has {how}; write {show(clean)}")
    return value


_API_TAIL = re.compile(r"(/anthropic)?(/api)?/v1(/.*)?$|/anthropic$|/api/v0(/.*)?$")


def _server_url(value: str) -> str:
    """A model server's base URL: the gateway adds /v1/… itself."""
    tail = _API_TAIL.search(value.split("://", 1)[-1].rstrip("/"))
    if tail and re.match(r"https?://", value):
        base = re.sub(r"/+$", "", value).removesuffix(tail[0]).rstrip("/")
        raise ValueError(f"{show(value)} ends in {tail[0]}, which the gateway adds itself; write {show(base)}")
    return _web_url(value)


def _resource(value: str) -> str:
    if value.startswith("/subscriptions/"):
        name = value.rstrip("/").rsplit("/", 1)[-1]
        raise ValueError(f"this is the long resource id; write the resource's name alone, {show(name)}")
    if "://" in value or "." in value:
        name = (address_of(value) if "://" in value else value).split(".")[0]
        raise ValueError(f"{show(value)} is an address; write its first label alone, {show(name)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}[A-Za-z0-9]", value):
        raise ValueError(f'{show(value)} is not a resource name; write the first label of its address, "myfoundry"')
    return value


def _image(value: str) -> str:
    repository = re.fullmatch(r"(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9._/-]+", value)
    if "://" in value:
        raise ValueError(f"{show(value)} is a URL; write the image's repository, {show(value.split('://')[1])}")
    if "@" in value or ":" in value.rsplit("/", 1)[-1]:
        clean = re.sub(r"(@.*|:[^/]*)$", "", value)
        raise ValueError(f"{show(value)} has a tag or digest, which pins.litellm decides; write {show(clean)}")
    if not repository or value.endswith("/") or "//" in value:
        raise ValueError(f'{show(value)} is not an image repository; write one such as "ghcr.io/berriai/litellm"')
    return value


def _timezone(value: str) -> str:
    zones = zoneinfo.available_timezones()  # empty where the controller has no tzdata
    if not re.fullmatch(r"[A-Za-z][\w+-]*(/[\w+-]+)*", value) or (zones and value not in zones):
        raise ValueError(
            f"{show(value)} is not a time zone{nearest(value, zones) or '; write one such as Europe/Berlin'}"
        )
    return value


def _version(value: str) -> str:
    if value.startswith("v") and value[1:2].isdigit():
        raise ValueError(f"{show(value)} has a v in front; write {show(value[1:])}")
    if not re.fullmatch(r"\d+\.\d+\.\d+([.-][0-9A-Za-z.-]+)?", value):
        raise ValueError(f'{show(value)} is not one exact version; write all three numbers, as in "1.2.3"')
    return value


def _integrity(value: str) -> str:
    try:
        good = value.startswith("sha512-") and len(base64.b64decode(value[7:], validate=True)) == 64
    except binascii.Error:
        good = False
    if not good:
        raise ValueError(f"{show(value)} is not an npm integrity (sha512- and 64 bytes in base64); run `signalbox pin`")
    return value


def _effort(value: str) -> str:
    if value in {"xhigh", "max"}:
        raise ValueError(f'{show(value)} is rejected by many backends; write "high"')
    if value not in {"low", "medium", "high"}:
        raise ValueError(f'{show(value)} is not an effort; write "low", "medium" or "high"')
    return value


def _key_source(value: str) -> str:
    if not re.fullmatch(r"prompt|file:\S.*|env:[A-Za-z_]\w*|command:\S.*", value):
        raise ValueError(
            "this says not where the key comes from (not repeated here, as it may be the key itself); write prompt, "
            "file:PATH, env:NAME or command:WORDS"
        )
    return value


def _scoped_file(value: str) -> str:
    if value.count("{scope}") != 1 or re.search(r"[{}*?\[\]\0\n]", value.replace("{scope}", "")):
        raise ValueError(
            f"{show(value)} does not say where each scope has its file; write a path with {{scope}} once, such as "
            '"secrets/{scope}.yml"'
        )
    return value


_OWN_PARAMS = {
    "model": "id",
    "api_base": "the record's url",
    "base_url": "the record's url",
    "max_retries": "gateway.retries",
    "api_key": "the name of a secret in the record's token or secret",
    "order": "order",
}


def _litellm_params(value: dict[str, Any]) -> dict[str, Any]:
    """Further members of a LiteLLM entry: JSON, nothing that another setting decides, and no reference to a secret."""
    for name, instead in _OWN_PARAMS.items():
        if name in value:
            raise ValueError(f"{show(name)} is decided elsewhere; write {instead}")
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("this is not JSON; write texts, numbers, True, False, None, lists and dicts alone") from None
    if "os.environ/" in text:
        raise ValueError("the gateway gets the keys of its records alone; name the secret in token or secret")
    return value


def _pin(prefix: str, what: str) -> AfterValidator:
    return matching(rf"{prefix}[0-9a-f]{{64}}", what, "nothing by hand: set it to None and run `signalbox pin`")


KeySource = Annotated[str, AfterValidator(_key_source)]
ScopedFile = Annotated[str, checked(_scoped_file)]
FilePath = Annotated[str, matching(r"[^\0\n]+", "a path", 'one such as "~/.config/age/key.txt"')]
LiteLLMParams = Annotated[dict[str, Any], AfterValidator(_litellm_params)]
Port = Annotated[int, AfterValidator(_port)]
Context = Annotated[int, AfterValidator(_context)]
UserName = Annotated[str, checked(_user)]
SecretName = Annotated[str, checked(secret_name)]
WebUrl = Annotated[str, checked(_web_url)]
ServerUrl = Annotated[str, checked(_server_url)]
Resource = Annotated[str, checked(_resource)]
Image = Annotated[str, checked(_image)]
TimeZone = Annotated[str, checked(_timezone)]
Version = Annotated[str, checked(_version)]
Integrity = Annotated[str, checked(_integrity)]
Effort = Annotated[str, AfterValidator(_effort)]
Sha256 = Annotated[str, _pin("", "a sha256 (64 of 0-9 and a-f)")]
Digest = Annotated[str, _pin("sha256:", "an image digest (sha256: and 64 of 0-9 and a-f)")]
# deb-control(5) and Debian policy 5.6.1
Package = Annotated[str, matching(r"[a-z0-9][a-z0-9+.-]+", "a Debian package name", 'one such as "ripgrep"')]
AbsolutePath = Annotated[str, matching(r"(/[\w.+-]+)+", "an absolute path", 'the whole path, such as "/bin/bash"')]
ModelName = Annotated[str, matching(r"[A-Za-z0-9][\w.:/@-]*", "a model's name (no spaces)", 'one such as "local"')]
ModelId = Annotated[str, matching(r"\S+( \S+)*", "a model's id", "what the server's model list calls it")]
ConfigDir = Annotated[
    str,
    matching(r"~(/(?!\.\.?(/|$))[\w.+-]+)+", "a directory below the user's home", 'one such as "~/.claude-local"'),
]
# https://docs.docker.com/reference/cli/docker/container/run/: names of containers
ContainerName = Annotated[str, matching(r"[A-Za-z0-9][\w.-]+", "a container's name", 'one such as "litellm"')]
FunctionName = Annotated[str, matching(r"[A-Za-z][\w.-]*", "a function's name", 'one such as "claude-routed"')]
HomePath = Annotated[
    str,
    matching(
        r"(?!\.\.?(/|$))[\w.+-]+(/(?!\.\.?(/|$))[\w.+-]+)*",
        "a path below the user's home",
        'one such as ".config/claude-secrets.env"',
    ),
]
Words = Annotated[str, matching(r"(?s).*\S.*", "a text", "who pays, in words")]
Flag = Annotated[str, matching(r"-\S*|[^-\s].*", "a flag", 'one such as "--verbose"')]
