"""SearXNG's /search with its JSON answer, as strict as its own (searx/webapp.py, searx/webutils.py).

JSON is off unless search.formats lists it, which most people meet first: searxng/searxng #3749 and #4856,
searxng/searxng-docker #326, open-webui/open-webui #2824. Its limiter takes what does not ask for HTML for a bot:
langchain-ai/langchain #2251, searxng/searxng #3651.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from tests.lab.simulators.protocol import Answer, Call, FaultKind

FOUND = "The lighthouse of Nowhere was built in 1871, says simulated SearXNG"  # what no model could make up
URL = "https://nowhere.example/lighthouse"


class SearXNG:
    name = "searxng"
    port = 8888

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._options: dict[str, Any] = {"formats": ["html", "json"], "limiter": False, "nothing": False}

    def configure(self, **options: Any) -> dict[str, Any]:
        if unknown := set(options) - set(self._options):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}; there are: {', '.join(self._options)}")
        self._options |= options
        return dict(self._options)

    def handle(self, call: Call) -> Answer:
        if (call.method, call.path) == ("GET", "/healthz"):
            return Answer(body="OK")
        if call.method not in ("GET", "POST") or call.path != "/search":
            return Answer(404, "Not Found")
        if self._options["limiter"] and "text/html" not in call.headers.get("accept", ""):
            return Answer(429, "Too Many Requests")
        form = {**call.query, **dict(parse_qsl(call.body.decode()) if call.method == "POST" else ())}
        kind = form.get("format", "html")
        kind = kind if kind in ("html", "csv", "json", "rss") else "html"
        if kind not in self._options["formats"]:
            return Answer(403, "Forbidden")
        if kind != "json":
            return Answer(body="<!DOCTYPE html><html></html>")
        if not form.get("q"):
            return Answer(400, {"error": "No query"})
        return Answer(body=self._answer(form["q"]))

    def _answer(self, query: str) -> dict[str, Any]:
        found = {
            "url": URL,
            "title": "Lighthouses",
            "content": FOUND,
            "thumbnail": "",
            "engine": "wikipedia",
            "template": "default.html",
            "parsed_url": ["https", "nowhere.example", "/lighthouse", "", "", ""],
            "img_src": "",
            "priority": "",
            "engines": ["wikipedia"],
            "positions": [1],
            "score": 1.0,
            "category": "general",
            "publishedDate": None,
        }
        return {
            "query": query,
            "number_of_results": 0,  # what it mostly says
            "results": [] if self._options["nothing"] else [found],
            "answers": [],
            "corrections": [],
            "infoboxes": [],
            "suggestions": [],
            "unresponsive_engines": [["brave", "too many requests"]],
        }

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        return Answer(int(kind) if kind.isdigit() else 500, "Internal Server Error")

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:  # noqa: ARG002
        return b""
