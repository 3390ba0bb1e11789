"""Rules of backends and clouds: complete, each once, and by names that Claude Code takes for what they are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from signalbox import backends
from signalbox.backends.records import Backend
from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.messages import show
from signalbox.fields.urls import address_of
from signalbox.settings.layers import Path
from signalbox.settings.models import CLAUDE, model_names, taken_for_claude
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections


def records_complete(settings: Sections, _: Raw) -> Iterator[Problem]:
    """What an enabled backend or cloud needs is there."""
    for section, records in (("backends", settings.backends), ("clouds", settings.clouds)):
        for name, record in records.items():
            if not record.enabled:
                continue
            at: Path = (section, name)
            if record.kind is None:
                yield Problem((*at, "kind"), "missing; write what it is, such as " + _KIND_OF[section])
            else:
                yield from (Problem((*at, key), said) for key, said in backends.kind_of(record).problems(record))
            for model in record.models.values():
                if model.id is None:
                    yield Problem((*at, "models", model.name, "id"), "missing; write what the server calls the model")
            if not record.models:
                yield Problem((*at, "models"), "no model is served; name one, or write enabled = False")
    for name, cloud in settings.clouds.items():
        if not cloud.enabled:
            continue
        if cloud.secret is None:
            yield Problem(
                ("clouds", name, "secret"), "missing; write the name of the secret, such as ANTHROPIC_DIRECT_KEY"
            )
        if (
            cloud.url
            and cloud.url.startswith("http://")
            and not PLACEHOLDER.search(cloud.url)
            and not _is_private(address_of(cloud.url))
        ):
            yield Problem(("clouds", name, "url"), f"{show(cloud.url)} would send the key in clear; write https://…")


_KIND_OF = {"backends": f'"{next(iter(backends.BACKENDS))}"', "clouds": f'"{next(iter(backends.CLOUDS))}"'}


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def backend_urls(settings: Sections, _: Raw) -> Iterator[Problem]:
    """One server is one backend: two records of one URL would be probed and cooled down apart."""
    owner: dict[str, Backend] = {}
    for name, backend in settings.backends.items():
        if not backend.enabled or not backend.url or PLACEHOLDER.search(backend.url):
            continue
        if backend.url in owner:
            yield Problem(
                ("backends", name, "url"),
                f"{show(backend.url)} is the backend {owner[backend.url].name} too; put its models there",
            )
        owner.setdefault(backend.url, backend)


def names(_: Sections, raw: Raw) -> Iterator[Problem]:
    """A name means one model, which several backends may have; a local one is not taken for a cloud's."""
    for section in ("backends", "clouds"):
        for name in raw[section]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
                yield Problem((section, name), f"{show(name)} is no record's name; write a-z, 0-9, _ and -")
    owner: dict[str, Path] = {}
    for name, path in model_names(raw):
        if path[0] == "backends" and taken_for_claude(name):
            yield Problem(
                path,
                f"{show(name)} is a name that Claude Code takes for a cloud model with its window; "
                'name a local model otherwise, such as "local"',
            )
        if name in owner and not _another_box(path, owner[name], name):
            first = ".".join(map(str, owner[name]))
            yield Problem(path, f"{show(name)} is already the name of {first}; give one of them another name")
        owner.setdefault(name, path[:4])


def _another_box(path: Path, first: Path, name: str) -> bool:
    """Whether the name at `path` is that of the model at `first`, on another backend: one model on several boxes."""
    model = path[3]
    own_alias = len(path) > 4 and name == model
    return path[0] == first[0] == "backends" and path[1] != first[1] and model == first[3] and not own_alias


def one_payer(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Who pays for a model goes by its name: several boxes that have it are all one's own, or all one payer's."""
    first: dict[str, Backend] = {}
    for name, backend in settings.backends.items():
        for model in backend.models if backend.enabled else ():
            other = first.setdefault(model, backend)
            if other.payer != backend.payer:
                paid = backend if backend.payer else other
                said = f"{other.name} has it too, and answers of {paid.name} alone are billed; give it another name"
                yield Problem(("backends", name, "models", model), f"{said}, and name that in gateway.fallbacks")


def claude_names(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Claude Code tells a model's window and abilities by its name: a Claude has such a name, and nothing else has."""
    for record, cloud in settings.clouds.items():
        if not cloud.enabled or cloud.kind is None:
            continue
        serves_claude = backends.CLOUDS[cloud.kind].serves_claude
        for name, model in cloud.models.items():
            at: Path = ("clouds", record, "models", name)
            lengths = {"context_length": model.context_length, "max_output_tokens": model.max_output_tokens}
            if serves_claude and not CLAUDE.search(name):
                yield Problem(
                    at,
                    f"{show(name)} is no name that Claude Code knows, so it would assume a window of 1M tokens; write "
                    'one with the model in it, such as "claude-sonnet-4-6" or "foundry-claude-sonnet-4-6", and put '
                    "this one among its aliases",
                )
            if not serves_claude and "claude" in name.lower():
                yield Problem(at, f"{show(name)} is a name that Claude Code takes for a Claude; write the model's own")
            for key, value in lengths.items():
                if serves_claude and value is not None:
                    yield Problem((*at, key), "Claude Code knows it by the model's name; write None")
                elif not serves_claude and value is None:
                    yield Problem((*at, key), "missing; Claude Code does not know this model, so write it in tokens")


RULES: list[Rule] = [records_complete, names, one_payer, claude_names, backend_urls]
