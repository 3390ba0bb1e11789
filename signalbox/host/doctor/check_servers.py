"""Checks of model servers and clouds, each asked itself: it is there, with its models and their context."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from subprocess import TimeoutExpired
from typing import Any

from ..shared import context
from ..shared.reasons import WHY, of_a_certificate
from .check import Finding, check
from .host_context import AGENT, KEEPER, PATIENCE, Answer, Here, ask, key_in

DENIED = (401, 403)
NO_QUERY = 400  # what a SearXNG that gives JSON to programs says to a search for nothing
OF_A_CERTIFICATE = {each: each for each in ("certificate-expired", "certificate-name")} | {"certificate": "tls"}
UNREACHED = ("backend-off", *OF_A_CERTIFICATE.values())


@check(AGENT, KEEPER)
def backends(here: Here) -> Iterator[Finding]:
    """Every model server answers, with the models and the context that the settings say"""
    told = _by_the_gateway(here)
    for name, server in here.expected["backends"].items():
        # One that wants a token is asked by whoever has it; whether it is there, the agent sees without.
        holds = server["key"] is not None and server["key"]["user"] == here.user
        if holds or AGENT in here.roles:
            token = _token(server["key"]["path"]) if holds else None
            by_the_gateway = isinstance(told.get(name), int) and not _goes_directly(here, server)
            from_there = _from_there(here, name, server) if isinstance(told.get(name), str) else []
            for finding in from_there or _of_server(name, server, token):
                if not (by_the_gateway and finding.symptom in UNREACHED):
                    yield replace(finding, subjects=(name, *finding.subjects))


@check(AGENT)
def clouds(here: Here) -> Iterator[Finding]:
    """Every cloud is reached; asked without a key, which costs nothing"""
    for name, url in here.expected["clouds"].items():
        answer = ask(url, timeout=5, proxies=True)
        if not answer.status:
            yield Finding(_unreached(answer, "cloud-unreachable"), f"{name} at {url}: {answer.text[:200]}")


@check(AGENT)
def web_search(here: Here) -> Iterator[Finding]:
    """The web search answers programs; asked for nothing, which searches nothing"""
    if not (url := here.expected["web_search"]):
        return
    answer = ask(f"{url}/search?format=json")
    if answer.status != NO_QUERY:
        said = f"it answers {answer.status}" if answer.status else answer.text[:200]
        yield Finding("web-search-off", f"the SearXNG at {url}: {said}", subjects=("web_search",))


def _by_the_gateway(here: Here) -> dict[str, int | str]:
    """Return of each server what it answers to the gateway's container, or a word of WHY; {}: it does not tell."""
    gateway = here.expected["gateway"]
    told = ask(f"{gateway['url']}/signalbox/servers").json() if gateway["enabled"] else None
    servers = told.items() if isinstance(told, dict) else ()
    return {name: said for name, said in servers if isinstance(said, int) or (isinstance(said, str) and said in WHY)}


def _goes_directly(here: Here, server: dict[str, Any]) -> bool:
    return any(lane["via"] == "direct" and server["probe"].startswith(lane["goes_to"]) for lane in here.lanes.values())


def _unreached(answer: Answer, otherwise: str) -> str:
    return OF_A_CERTIFICATE.get(of_a_certificate(answer.text) or "", otherwise)


def _token(path: str) -> str | None:
    try:
        return key_in(path)
    except (OSError, TimeoutExpired):  # `keys` tells that
        return None


def _from_there(here: Here, name: str, server: dict[str, Any]) -> list[Finding]:
    """Return what keeps the gateway from a server that this host reaches, if it still does when it has looked anew."""
    if not ask(server["probe"]).status:
        return []
    time.sleep(here.expected["gateway"]["looks_every"] + PATIENCE)
    told = _by_the_gateway(here).get(name)
    if not isinstance(told, str):
        return []
    seen = f"this host reaches {name} at {server['probe']}, the gateway's container does not: {WHY[told]}"
    return [Finding(OF_A_CERTIFICATE.get(told, "backend-from-container"), seen)]


def _of_server(name: str, server: dict[str, Any], token: str | None) -> Iterator[Finding]:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    asked = {url: ask(url, bearer) for url in {server["probe"], server["listing"]["url"]}}
    answer = asked[server["probe"]]
    if not answer.status:
        yield Finding(_unreached(answer, "backend-off"), f"{name} at {server['probe']}: {answer.text[:200]}")
        return
    if denied := [each.status for each in asked.values() if each.status in DENIED]:
        if token:
            yield Finding("backend-token", f"{name} answers {denied[0]} to its token")
        elif not server["token"]:
            yield Finding("backend-token", f"{name} answers {denied[0]}, and the settings name no token")
        return
    if server["token"] and not token:
        return
    listed = _listed(asked[server["listing"]["url"]].json(), server["listing"])
    for model, record in server["models"].items():
        yield from _of_model(name, model, record, listed, bearer)


def _of_model(
    name: str, model: str, record: dict[str, Any], listed: list[str] | None, bearer: dict[str, str]
) -> Iterator[Finding]:
    reading, tokens = record["reading"], None
    answer = ask(reading["url"], bearer) if reading else None
    told = answer is not None and answer.status == 200  # it answers elsewhere, so else it only does not tell
    if reading and answer and told:
        tokens = context.loaded(answer.json(), reading)
    if listed is not None and not _known(record["id"], listed) and (tokens is None or not reading["names"]):
        has = f"{name} has {', '.join(listed[:3]) or 'no model'}, not {record['id']} ({model})"
        yield Finding("model-not-found", has, subjects=(model,))
    elif reading and told:
        for grave, said in context.verdicts(tokens, reading):
            symptom = "context-small" if grave == "refused" else "context-less"
            symptom = "model-not-loaded" if tokens is None else symptom
            # What is right by the settings is none, even where an interactive session wants more: the plan tells that.
            if tokens is None or tokens < reading["context_length"] or grave == "refused":
                yield Finding(symptom, f"{name}: {said}", subjects=(model,))


def _listed(answer: Any, listing: dict[str, str]) -> list[str] | None:
    """Return the names of the models that the server lists; None where it lists none in this way."""
    entries = answer.get(listing["models"]) if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        return None
    return [str(entry[listing["name"]]) for entry in entries if isinstance(entry, dict) and listing["name"] in entry]


def _known(ident: str, listed: list[str]) -> bool:
    # Ollama adds a tag where there is none. llama.cpp lists its file where it was told no alias: that names nothing.
    return ident in listed or f"{ident}:latest" in listed or any(name.endswith(".gguf") for name in listed)
