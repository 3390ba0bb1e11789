"""The digest of an image's tag, from an OCI registry's HTTP API (OCI Distribution Specification 1.1)."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import urlencode, urljoin

import requests

from signalbox.pins.errors import PinError
from signalbox.pins.web import Web

_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)

_PAGES = 100  # of 1000 tags


def manifest_digest(web: Web, repository: str, tag: str) -> str:
    """The digest, `sha256:…`, of an image index or manifest.

    The registry's word is not enough: the digest is that of the body that came.

    Args:
        repository: `[registry[:port]/]path`, as `docker pull` takes it.

    Raises:
        PinError: the registry does not answer, has no such tag, wants a login, or contradicts itself;
            or the image is not for Linux on amd64 or arm64.
    """
    host, path = _split(repository)
    url = f"https://{host}/v2/{path}/manifests/{tag}"
    answer = _get(web, url, host)
    if answer.status_code in (401, 403):
        raise PinError(f"{url}: answers {answer.status_code}; {repository} needs a login, use a mirror without one")
    if answer.status_code != 200:
        raise PinError(f"{url}: answers {answer.status_code}; is {repository}:{tag} there? check mirrors.litellm")
    digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    told = answer.headers.get("Docker-Content-Digest", digest)
    if told != digest:
        raise PinError(f"{url}: the registry says {told}, but what it sent is {digest}; do not trust this mirror")
    _check_platforms(url, answer.content)
    return digest


def tags(web: Web, repository: str) -> list[str]:
    """Return the repository's tags, in the registry's order.

    Raises:
        PinError: the registry does not answer, wants a login, or never comes to an end.
    """
    host, path = _split(repository)
    url, found = f"https://{host}/v2/{path}/tags/list?n=1000", list[str]()
    for _ in range(_PAGES):
        answer = _get(web, url, host)
        try:
            found += [str(tag) for tag in answer.json()["tags"] or []]
        except (ValueError, KeyError, TypeError):
            raise PinError(f"{url}: answers {answer.status_code} and no tags; check mirrors.litellm") from None
        following = answer.links.get("next", {}).get("url")
        if not following:
            return found
        url = urljoin(answer.url, following)
    raise PinError(f"{repository}: has more than {_PAGES} pages of tags; use a mirror with fewer")


def _split(repository: str) -> tuple[str, str]:
    """Registry and path, by Docker's rule: the first part is a registry if it has a dot, a colon or is localhost."""
    first, _, rest = repository.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return ("registry-1.docker.io" if first == "docker.io" else first), rest
    return "registry-1.docker.io", repository if "/" in repository else f"library/{repository}"


def _get(web: Web, url: str, host: str) -> requests.Response:
    headers = {"Accept": _MANIFESTS}
    try:
        answer = web.get(url, headers)
    except PinError:
        # As Docker does: a registry on this machine's loopback may speak plain HTTP.
        if not re.match(r"(localhost|127\.[\d.]+)(:|$)", host):
            raise
        url = url.replace("https://", "http://", 1)
        answer = web.get(url, headers)
    if answer.status_code != 401:
        return answer
    token = _token(web, answer)
    return web.get(url, {**headers, "Authorization": f"Bearer {token}"}) if token else answer


def _token(web: Web, refused: requests.Response) -> str | None:
    """An anonymous token from where the registry's challenge points (Distribution, token authentication)."""
    challenge = refused.headers.get("WWW-Authenticate", "")
    if not challenge.lower().startswith("bearer "):
        return None
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm", "")
    if not realm.startswith(("https://", "http://")):
        return None
    query = urlencode({key: value for key, value in asked.items() if key in {"service", "scope"}})
    answer = web.get(f"{realm}?{query}")
    try:
        body = answer.json()
        token = body.get("token") or body.get("access_token")
    except (ValueError, AttributeError):
        return None
    return str(token) if token else None


def _check_platforms(url: str, body: bytes) -> None:
    try:
        manifest = json.loads(body)
        listed = manifest.get("manifests")
        if listed is None and "layers" in manifest:
            return  # one platform; which one, the image's own configuration tells at pull
        platforms = {
            (each["platform"]["os"], each["platform"]["architecture"]) for each in listed if "platform" in each
        }
    except (ValueError, AttributeError, KeyError, TypeError):
        raise PinError(f"{url}: what came is no image manifest; is mirrors.litellm a registry?") from None
    if platforms.isdisjoint({("linux", "amd64"), ("linux", "arm64")}):
        raise PinError(f"{url}: the image is not for Linux on amd64 or arm64; check mirrors.litellm")
