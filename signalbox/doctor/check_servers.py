"""Checks of model servers and clouds, each asked itself: it is there, with its models and their context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from subprocess import TimeoutExpired
from typing import Any

from . import context
from .check import Finding, check
from .here import AGENT, KEEPER, Here, ask, key_in

DENIED = (401, 403)


@check(AGENT, KEEPER)
def backends(here: Here) -> Iterator[Finding]:
    """Every model server answers, with the models and the context that the settings say"""
    for name, server in here.expected["backends"].items():
        # One that wants a token is asked by whoever has it; whether it is there, the agent sees without.
        holds = server["key"] is not None and server["key"]["user"] == here.user
        if holds or AGENT in here.roles:
            for finding in _of_server(name, server, _token(server["key"]["path"]) if holds else None):
                yield replace(finding, subjects=(name, *finding.subjects))


@check(AGENT)
def clouds(here: Here) -> Iterator[Finding]:
    """Every cloud is reached; asked without a key, which costs nothing"""
    for name, url in here.expected["clouds"].items():
        answer = ask(url, timeout=5, proxies=True)
        if not answer.status:
            yield Finding(_unreached(answer.text, "cloud-unreachable"), f"{name} at {url}: {answer.text[:200]}")


def _unreached(why: str, otherwise: str) -> str:
    return "tls" if "CERTIFICATE_VERIFY_FAILED" in why else otherwise


def _token(path: str) -> str | None:
    try:
        return key_in(path)
    except (OSError, TimeoutExpired):  # `keys` tells that
        return None


def _of_server(name: str, server: dict[str, Any], token: str | None) -> Iterator[Finding]:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    asked = {url: ask(url, bearer) for url in {server["probe"], server["listing"]["url"]}}
    answer = asked[server["probe"]]
    if not answer.status:
        yield Finding(_unreached(answer.text, "backend-off"), f"{name} at {server['probe']}: {answer.text[:200]}")
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
