"""Model servers as people have them: what public reports say of them, and who answers, who pays, what is told."""

from __future__ import annotations

from typing import Any

import requests

from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failover import every_kind
from tests.drills.failures import Kind, ask, audit, audited, options, urls
from tests.drills.stage import Stage

drill = Drill(
    "servers",
    "model servers as people have them",
    "Each behaviour that public reports describe, on each kind of server, through the gateway: who answered, what was "
    "billed, what was told. Nothing is billed that the server itself could have answered.",
)

# As an MCP server made with zod 4 has it: github.com/codefuturist/email-mcp/issues/58
MAIL = {"type": "string", "format": "email", "pattern": "^(?!\\.)(?!.*\\.\\.)[a-z.]+@([a-z]+\\.)+[a-z]{2,}$"}
SCHEMA = {"type": "object", "properties": {"to": {"type": "array", "items": MAIL, "maxItems": 5000}}}
SEND = {"name": "mcp__mail__send", "description": "Send a mail.", "input_schema": SCHEMA}
HEADER = "x-anthropic-billing-header: cc_version=2.1.329.23d; cc_entrypoint=cli;"


def _arrived(stage: Stage, kind: Kind) -> list[dict[str, Any]]:
    """Return the bodies of the questions that came to the server of this kind."""
    return [each["body"] for each in stage.simulators.requests(kind.server) if (each.get("body") or {}).get("messages")]


@drill.cell("schemas", fixed=True)
def schemas(stage: Stage) -> Figures:
    """A tool's schema of which the server can make no grammar costs nobody anything: the local server answers."""
    figures: Figures = {}
    for name, kind in every_kind(stage).items():
        with options(stage, kind.server, habit="grammar"):
            before = len(audit())
            (told,) = ask(kind.model, more={"tools": [SEND]})
            (line,) = audited(before, 1, kind.model)
            assert kind.says in told["text"], f"{name}: {told}, {line}"
            assert (line["error_class"], line["cost_usd"], line["mended"]) == (None, 0.0, ["schemas"]), (
                f"{name}: {line}"
            )
        figures[name] = f"{kind.says} answers, audit: {', '.join(line['mended'])}"

    def taken() -> None:
        tool = {"type": "function", "function": {"name": "send", "parameters": SCHEMA}}
        body = {"model": "devstral", "messages": [{"role": "user", "content": "hello"}], "tools": [tool]}
        answer = requests.post(f"{urls(stage)['vllm']}/v1/chat/completions", json=body, timeout=10)
        assert answer.status_code == 200, answer.text[:200]

    with options(stage, "vllm", habit="grammar"):
        return {**figures, "control": must_fail(taken, "the schema as it is")}


@drill.cell("header")
def header(stage: Stage) -> Figures:
    """What differs in each conversation does not begin the prompt of a local server, whose cache would be lost."""
    system = [{"type": "text", "text": HEADER}, {"type": "text", "text": "You are terse."}]
    figures: Figures = {}
    for name, kind in every_kind(stage).items():
        ask(kind.model, more={"system": system})
        arrived = str(_arrived(stage, kind)[-1])
        assert "You are terse." in arrived, arrived
        assert "x-anthropic-billing-header" not in arrived, arrived
        figures[name] = "the prompt begins with its own words"
    return figures
