"""A session of many prompts in a local lane: it sums itself up in time, and nobody is billed."""

from __future__ import annotations

import json
from typing import Any

from tests.drills import failures, looks
from tests.drills.drill import Figures
from tests.drills.screen import PATIENCE, Claude
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

CONVERSATION = "cat $(ls -t ~/.claude-local/projects/-home-claude-drill-inside/*.jsonl | head -n1)"
PROMPTS, COMPACTED = 60, 3
WORDS = "Of kumquats, quinces and medlars much can be said, and more of how they are peeled. " * 4
SIZES = (65536, 131072)  # tokens, beside the 32768 that the lab's server has


def _summaries() -> int:
    """Return how often the newest conversation was summed up, by its own record."""
    lines = (json.loads(line) for line in looks.answer(CONVERSATION).splitlines())
    return sum(line.get("subtype") == "compact_boundary" for line in lines)


def _said(session: Claude, number: int, text: str) -> None:
    """Type a prompt and wait for its answer, which is known by the conversation's own record."""
    session.type(f"prompt {number}: {text}")

    def answered() -> bool:
        lines = [json.loads(line) for line in looks.answer(CONVERSATION).splitlines()]
        asked = [at for at, line in enumerate(lines) if f"prompt {number}: " in json.dumps(line.get("message"))]
        return bool(asked) and any(line.get("type") == "assistant" for line in lines[asked[0] :])

    assert wait_until(answered, PATIENCE, 0.5), session.screen()


def _not_billed(stage: Stage, lines: list[dict[str, Any]]) -> None:
    """AssertionError unless the local server answered all of it, by the audit and by the servers themselves."""
    billed = [line for line in lines if line["cost_usd"] or line["backend"] != "lmstudio" or line["fallback"]]
    assert not billed, f"{len(billed)} of {len(lines)} requests: {billed[:3]}"
    clouds = [len(looks.chats(stage, server)) for server in ("anthropic", "foundry")]
    assert not any(clouds), f"clouds were asked {clouds} times"
    served = len(looks.chats(stage, "lmstudio"))
    assert served == len(lines), f"the audit has {len(lines)} requests, the server served {served}"


def sixty(stage: Stage) -> Figures:
    """60 prompts in a local lane of 32768 tokens: it sums itself up three times or more, and nothing is billed."""
    stage.converged()
    before = len(failures.audit())
    with Claude("claude-local") as session:
        for number in range(1, PROMPTS + 1):
            _said(session, number, f"{WORDS} count to 400")
        summaries = _summaries()
        shown = session.status_line("local | free")
    assert summaries >= COMPACTED, f"it was summed up {summaries} times"
    served = len(looks.chats(stage, "lmstudio"))
    lines = failures.audited(before, served)
    _not_billed(stage, lines)
    most = max(int(line.get("input_tokens") or 0) for line in lines)
    return {
        "summed up": f"{summaries} times",
        "requests": len(lines),
        "the longest": f"{most} tokens",
        "at the end": shown,
    }


def _filled(stage: Stage, context: int) -> str:
    """Fill a session until it sums itself up; return with how many tokens it did."""
    stage.simulators.clear()
    before = len(failures.audit())
    kind = failures.kinds(failures.urls(stage))["lm_studio"]
    with failures.loaded_with(stage, kind, context), Claude("claude-local") as session:
        for number in range(1, 40):
            _said(session, number, f"{WORDS} count to 3200")
            if _summaries():
                break
        _said(session, 99, "say hello")
        lines = failures.audited(before, len(looks.chats(stage, "lmstudio")))
        assert _summaries() == 1, f"{context}: {_summaries()} times in {number} prompts"
    _not_billed(stage, lines)
    most = max(int(line.get("input_tokens") or 0) for line in lines)
    assert context // 3 < most < context, f"{context}: it was summed up with {most} tokens"
    return f"summed up after {number} prompts, with {most} tokens at the most"


def sizes(stage: Stage) -> Figures:
    """With 65536 and 131072 tokens loaded a session sums itself up in time, too, and nothing is billed."""
    stage.converged()
    return {str(context): _filled(stage, context) for context in SIZES}
