"""Model servers at the addresses that a person names: what kind they are, and what they have loaded. Never a scan."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from signalbox.backends import BACKENDS
from signalbox.backends.kind import Listing, Reading
from signalbox.backends.records import Backend, BackendModel
from signalbox.host.shared.context import loaded
from signalbox.host.shared.within import ANSWER, json_of
from signalbox.init.probe_results import Loaded, Server
from signalbox.secrets import Secret
from signalbox.settings.layers import defaults

_SECONDS = 4.0
_LOCKED = (401, 403)


class _Answers:
    """What a server says to a GET, each address asked once."""

    def __init__(self, token: Secret | None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands before a server on one's own network
        if token:
            self._session.headers["Authorization"] = f"Bearer {token.reveal()}"
        self._known: dict[str, tuple[int, Any]] = {}

    def get(self, url: str) -> tuple[int, Any]:
        """Return the status (0: no answer) and the JSON (None: there is none)."""
        if url not in self._known:
            try:
                with self._session.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as answer:
                    self._known[url] = (answer.status_code, _json(answer))
            except requests.RequestException:
                self._known[url] = (0, None)
        return self._known[url]


def find(address: str, token: Secret | None = None) -> list[Server]:
    """Return the model servers at an address (where each kind usually listens), or the one at a URL.

    Args:
        token: what the server asks for, if it does.
    """
    if "://" in address:
        found = (_ask(kind, address, token) for kind in BACKENDS)
        return [first] if (first := next(filter(None, found), None)) else []
    host = f"[{address}]" if ":" in address else address
    with ThreadPoolExecutor(len(BACKENDS)) as pool:
        asked = [pool.submit(_ask, kind, f"http://{host}{module.usual}", token) for kind, module in BACKENDS.items()]
        return [server for each in asked if (server := each.result())]


def reading(server: Server, model: str) -> Reading | None:
    """Return how that server tells the context of a model; None where it does not."""
    return BACKENDS[server.kind].reading(_record(server.kind, server.url), _wanted(model))


def _ask(kind: str, url: str, token: Secret | None) -> Server | None:
    """Return the server at `url` if it is of this kind."""
    answers, record = _Answers(token), _record(kind, url)
    listing = BACKENDS[kind].listing(record)
    status, answer = answers.get(listing.url)
    names = _names(answer, listing) if status == 200 else None
    models = [_model(kind, record, name, answers) for name in names or ()]
    reading = BACKENDS[kind].reading(record, _wanted(""))
    locked = status in _LOCKED or (reading is not None and answers.get(reading.url)[0] in _LOCKED)
    ours = listing.telling or reading is None or any(model.context for model in models)
    if locked or (names is not None and ours):
        return Server(kind, url, tuple(sorted(models, key=lambda each: -(each.context or 0))), locked)
    return None


def _names(answer: Any, listing: Listing) -> list[str] | None:
    found = answer.get(listing.models) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        return None
    entries = [entry for entry in found if isinstance(entry, dict)]
    fit = [entry for entry in entries if not any(entry.get(key) == value for key, value in listing.unfit)]
    names = [entry.get(listing.name) for entry in fit]
    return [name for name in names if isinstance(name, str)]


def _model(kind: str, record: Backend, name: str, answers: _Answers) -> Loaded:
    reading = BACKENDS[kind].reading(record, _wanted(name))
    if reading is None:
        return Loaded(name)
    told = {"models": reading.models, "names": list(reading.names), "model": reading.model, "context": reading.context}
    return Loaded(name, loaded(answers.get(reading.url)[1], told))


def _record(kind: str, url: str) -> Backend:
    base = defaults()["defaults"]["backend"]
    return Backend.model_validate({**base, "name": kind, "kind": kind, "url": url})


def _wanted(name: str) -> BackendModel:
    base = defaults()["defaults"]["backend_model"]
    return BackendModel.model_construct(**{**base, "name": "local", "id": name})


def _json(answer: requests.Response) -> Any:
    until, body = time.monotonic() + 2 * _SECONDS, b""
    for piece in answer.iter_content(1 << 16):
        body += piece
        if len(body) > ANSWER or time.monotonic() > until:
            return None
    try:
        return json_of(body)
    except ValueError:
        return None
