"""Network addresses ("host:port") that a host will talk to, from its settings."""

from __future__ import annotations

from urllib.parse import urlsplit

from signalbox.backends import CLOUDS, kind_of
from signalbox.desired.model_server import model_files
from signalbox.settings import Settings

NPM = "https://registry.npmjs.org"  # npm's own, where settings name no registry
_PORTS = {"http": 80, "https": 443}
# Where a registry sends for the layers of its images.
_LAYERS = {"ghcr.io:443": "pkg-containers.githubusercontent.com:443"}


def of_url(url: str) -> str:
    """Return "host:port" of an http or https URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def of_image(repository: str) -> str:
    """Return "host:port" of the registry of an image repository such as ghcr.io/berriai/litellm."""
    return of_url(f"https://{repository}")


def of_mirrors(settings: Settings) -> tuple[str, ...]:
    """Return where the enabled tasks download from."""
    mirrors = settings.mirrors
    found = [mirrors.debian, mirrors.debian_security] if settings.base.enabled and mirrors.debian else []
    if settings.rootless_docker.enabled and settings.rootless_docker.source == "docker":
        found.append(mirrors.docker)
    if settings.toolchain.enabled:
        found += [mirrors.mise, mirrors.node, mirrors.npm or NPM]
    if settings.model_server.enabled:
        found += [settings.mirrors.llama_cpp]
        found += [each.url for each in model_files(settings.model_server, settings.mirrors)]
    addresses = [of_url(url) for url in found if url]
    if settings.gateway.enabled:
        addresses.append(of_image(mirrors.litellm))
    return tuple(dict.fromkeys(addresses))


def of_backends(settings: Settings) -> tuple[str, ...]:
    """Return where the enabled local model servers, and the search for their models, listen."""
    return tuple(dict.fromkeys(map(of_url, _local_urls(settings))))


def _local_urls(settings: Settings) -> list[str]:
    search = settings.gateway.web_search if settings.gateway.enabled else None
    urls = [backend.url for backend in settings.backends.values() if backend.enabled]
    return [url for url in (*urls, search and search.url) if url]


def names_for_the_gateway(settings: Settings) -> tuple[str, ...]:
    """Return the names, and no addresses, of what the gateway asks on one's own network."""
    hosts = [of_url(url).rpartition(":")[0] for url in _local_urls(settings)] if settings.gateway.enabled else []
    names = (each for each in hosts if ":" not in each and not each.replace(".", "").isdigit())
    return tuple(dict.fromkeys(each for each in names if each != "localhost"))


def of_own(settings: Settings) -> dict[str, str]:
    """Return the host names or addresses of the enabled backends that nobody is billed for, by the backends' names."""
    own = {each.name: each.url for each in settings.backends.values() if each.enabled and each.own}
    return {name: host for name, url in own.items() if url and (host := urlsplit(url).hostname)}


def of_clouds(settings: Settings) -> tuple[str, ...]:
    """Return where the enabled clouds answer."""
    clouds = [each for each in settings.clouds.values() if each.enabled]
    urls = (
        url for each in clouds for url in (kind_of(each).probe(each).url, *CLOUDS[str(each.kind)].also_reaches(each))
    )
    return tuple(dict.fromkeys(map(of_url, urls)))


def of_service_user(settings: Settings) -> tuple[str, ...]:
    """Return what the service user must reach to do its work: mirrors, model servers and clouds."""
    found = [*of_mirrors(settings), *of_backends(settings), *of_clouds(settings)]
    if settings.rootless_docker.enabled:
        found += map(of_url, settings.rootless_docker.registry_mirrors)
    found += [_LAYERS[each] for each in found if each in _LAYERS]
    return tuple(dict.fromkeys(found))
