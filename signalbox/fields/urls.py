"""URLs, hosts' names and image repositories."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from signalbox.fields.checks import checked, matching
from signalbox.fields.messages import show


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


API_TAIL = re.compile(r"(/anthropic)?(/api)?/v1(/.*)?$|/anthropic$|/api/v0(/.*)?$")


def _server_url(value: str) -> str:
    """A model server's base URL: the gateway adds /v1/… itself."""
    if said := added_tail(value):
        raise ValueError(said)
    return _web_url(value)


def added_tail(url: str, pattern: re.Pattern[str] = API_TAIL) -> str | None:
    """What to say of a URL that ends in what the gateway adds itself; None: it does not."""
    tail = pattern.search(url.split("://", 1)[-1].rstrip("/"))
    if not tail or not re.match(r"https?://", url):
        return None
    base = re.sub(r"/+$", "", url).removesuffix(tail[0]).rstrip("/")
    return f"{show(url)} ends in {tail[0]}, which the gateway adds itself; write {show(base)}"


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


WebUrl = Annotated[str, checked(_web_url)]
ServerUrl = Annotated[str, checked(_server_url)]
Region = Annotated[str, matching(r"global|[a-z]{2}(-[a-z]+)+-?\d+|us|eu", "a region", 'one such as "us-east-1"')]
Project = Annotated[str, matching(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "a project's id", 'one such as "my-project-4711"')]
Resource = Annotated[str, checked(_resource)]
Image = Annotated[str, checked(_image)]


def _host_name(value: str) -> str:
    if problem := host_problem(value):
        raise ValueError(problem)
    return value


host_name = checked(_host_name)
