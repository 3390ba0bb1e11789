"""What model servers do that people meet, by public reports, and how a simulated one is made to do it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

from tests.drills import looks
from tests.drills.failures import STREAM_TIMEOUT, Kind, ask, fault, options
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

IMAGE = "/home/claude/drill-inside/x.png"
TOOL = "run: echo made-$((6*7))"
SEE = f'call the tool "Read" with {json.dumps({"file_path": IMAGE})}'
ASKED = "*/[cm][he][as]*"  # where a model is asked: /chat, /chat/completions, /messages
NONE = "the answer is none: "
# As an MCP server made with zod 4 has it: github.com/codefuturist/email-mcp/issues/58
MAIL = {"type": "string", "format": "email", "pattern": "^(?!\\.)(?!.*\\.\\.)[a-z.]+@([a-z]+\\.)+[a-z]{2,}$"}
SCHEMA = {"type": "object", "properties": {"to": {"type": "array", "items": MAIL, "maxItems": 5000}}}
SEND = {"name": "send", "description": "Send a mail.", "inputSchema": SCHEMA}


@dataclass(frozen=True)
class Behaviour:
    """What a server does, by public reports (source), and how a simulated one is made to do it.

    kinds: of servers that it is reported of; the first is played in every form, the others with -p and tools.
    prompt: of the first turn, where another than that of the form. arguments: more of Claude Code's.
    by: who does the work, of each way: "local", "cloud", "nobody", or either, as "nobody|cloud". words: what the person
    reads where nobody does (a pattern). taken_out: what sed takes out of the gateway's start, so that the control fails
    through the gateway. without: what the control plays in place of `have`, where nothing of ours is in the way, and
    plain Claude Code does not fail either. refused: messages that the server itself must refuse, where neither does.
    """

    name: str
    shows: str
    source: str
    kinds: tuple[str, ...]
    have: Callable[[Stage, Kind], AbstractContextManager[None]]
    by: Mapping[str, str]
    prompt: str | None = None
    arguments: str = ""
    words: str = r"\S"
    taken_out: str | None = None
    without: Callable[[Stage, Kind], AbstractContextManager[None]] | None = None
    refused: Sequence[Mapping[str, Any]] | None = None


def _habit(habit: str) -> Callable[[Stage, Kind], AbstractContextManager[None]]:
    return lambda stage, kind: options(stage, kind.server, habit=habit)


def _slow(stage: Stage, kind: Kind) -> AbstractContextManager[None]:
    return fault(stage, kind.server, "hang", path=ASKED, seconds=STREAM_TIMEOUT + 3)


@contextmanager
def _slow_to_tell(stage: Stage, kind: Kind) -> Iterator[None]:
    """Have the server tell what it has later than the gateway waits, and sooner than a launcher does."""
    with fault(stage, kind.server, "hang", path="*models*", seconds=2.5):
        yield


@contextmanager
def _busy(stage: Stage, kind: Kind) -> Iterator[None]:
    """Have it compute for somebody else all the time, and be slow to tell what it has for that."""
    over = Event()

    def another() -> None:
        while not over.is_set():
            ask(kind.model)

    with ThreadPoolExecutor(1) as pool:
        stage.simulators.fault(kind.server, "hang", path=ASKED, seconds=3.0)
        working = pool.submit(another)
        assert wait_until(lambda: bool(looks.chats(stage, kind.server)), 20, 0.2)
        with _slow_to_tell(stage, kind):
            try:
                yield
            finally:
                over.set()
                working.result()  # before the server is well again, which breaks off what hangs


def _says(text: str) -> Callable[[Stage, Kind], AbstractContextManager[None]]:
    return lambda stage, kind: fault(stage, kind.server, "garble", path=ASKED, text=text)


# A conversation in OpenAI's format, with a call whose id no server has made.
ASKS = {"role": "user", "content": "look"}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
ALL_LOCAL = {"gateway": "local", "direct": "local", "private": "local"}
NO_GATEWAY = {"gateway": "cloud", "direct": "nobody", "private": "nobody"}
NO_REPAIR = "s/^splitter\\._expand = .*//"
NOBODY = dict.fromkeys(ALL_LOCAL, "nobody")  # a thought has gone out by then
BEHAVIOURS = (
    Behaviour(
        "roles",
        "A server that refuses system messages in mid-conversation answers in every way",
        "ggml-org/llama.cpp/issues/27367, vllm-project/vllm/issues/44000, lmstudio-ai/lmstudio-bug-tracker/issues/2204,"
        " ollama/ollama/issues/17774",
        ("llama_cpp", "vllm", "lm_studio", "ollama"),
        _habit("strict roles"),
        ALL_LOCAL,
    ),
    Behaviour(
        "images",
        "A model that sees no images is not shown any, and goes on",
        "lmstudio-ai/lmstudio-bug-tracker/issues/908, vllm-project/vllm/issues/19144",
        ("llama_cpp", "lm_studio", "ollama"),
        _habit("text only"),
        ALL_LOCAL,
        prompt=SEE,
    ),
    Behaviour(
        "router",
        "A router that has not loaded the model loads it, and is told from one that has too little",
        "ggml-org/llama.cpp/issues/18035, mostlygeek/llama-swap/issues/854",
        ("llama_cpp",),
        lambda stage, kind: options(stage, kind.server, router=True, loaded=False),
        ALL_LOCAL,
        without=lambda stage, kind: options(stage, kind.server, router=True, context_length=8192),
    ),
    Behaviour(
        "too-little",
        "A router's model that is loaded with 8192 tokens is refused in words before anything is asked",
        "ggml-org/llama.cpp/issues/18035",
        ("llama_cpp",),
        lambda stage, kind: options(stage, kind.server, router=True, context_length=8192),
        NOBODY,
        words="is loaded with 8192 tokens",
    ),
    Behaviour(
        "key-for-the-list",
        "A newer llama.cpp that wants its key for the list of models too says so at once where there is none",
        "ggml-org/llama.cpp, tools/server of b11434",
        ("llama_cpp",),
        lambda stage, kind: options(stage, kind.server, require_authentication=True, lists_openly=False),
        NO_GATEWAY,
        words=r"refuses this lane's key|401|Invalid API Key",
    ),
    Behaviour(
        "schemas",
        "A tool's schema of which the server can make no grammar is mended by the gateway, and told elsewhere",
        "ggml-org/llama.cpp/issues/25746, lmstudio-ai/lmstudio-bug-tracker/issues/2220,"
        " codefuturist/email-mcp/issues/58",
        ("llama_cpp", "lm_studio", "ollama"),
        _habit("grammar"),
        {"gateway": "local", "direct": "nobody", "private": "nobody"},
        arguments="--strict-mcp-config --mcp-config=mcp.json",
        words="failed to parse grammar",
    ),
    Behaviour(
        "text-results",
        "A server that takes no images as a tool's result is not sent any, and the conversation goes on",
        "lmstudio-ai/localization/issues/425, CommandCodeAI/command-code/issues/850",
        ("lm_studio",),
        _habit("text results"),
        ALL_LOCAL,
        prompt=SEE,
    ),
    Behaviour(
        "no-tools",
        "A model without tools: another does the work, or it is told in the server's words",
        "anthropics/claude-code/issues/19341",
        ("ollama",),
        _habit("no tools"),
        NO_GATEWAY,
        words="does not support tools",
    ),
    Behaviour(
        "own-ids",
        "A server that knows its calls by ids of its own gets them back as they were",
        "BerriAI/litellm/issues/32214",
        ("vllm", "llama_cpp"),
        _habit("own ids"),
        {"gateway": "local"},
        prompt=TOOL,
        taken_out="s/call_ids\\.written(\\(.*\\))$/\\1/",
        refused=(ASKS, CALLS, RESULT),
    ),
    Behaviour(
        "tools-first",
        "A server that wants the results of tools right behind their calls gets them so",
        "BerriAI/litellm/issues/28995",
        ("vllm", "lm_studio"),
        _habit("tools first"),
        ALL_LOCAL,
        prompt=TOOL,
        refused=(ASKS, CALLS, ASKS, RESULT),
    ),
    Behaviour(
        "whole-calls",
        "A call that comes in one piece, with the end of the answer in it, is made",
        "BerriAI/litellm/issues/25321",
        ("lm_studio", "vllm"),
        _habit("whole calls"),
        ALL_LOCAL,
        prompt=TOOL,
        without=_says(""),
    ),
    Behaviour(
        "named-pieces",
        "A call whose every piece has its id and name is one call",
        "nanocoai/nanoclaw/pull/1241",
        ("vllm",),
        _habit("names each piece"),
        {"gateway": "local"},
        prompt=TOOL,
        taken_out=NO_REPAIR,
    ),
    Behaviour(
        "late-thoughts",
        "A thought that comes behind the first words breaks no answer",
        "BerriAI/litellm/issues/33224, BerriAI/litellm/pull/29600",
        ("vllm", "lm_studio"),
        _habit("thinks between"),
        ALL_LOCAL,
        taken_out=NO_REPAIR,
    ),
    Behaviour(
        "thoughts-alone",
        "An answer that is a thought and nothing else is none",
        "anthropics/claude-code/issues/81016, zts212653/clowder-ai/issues/778",
        ("llama_cpp", "vllm", "lm_studio"),
        _habit("only thinks"),
        {**NOBODY, "gateway": "nobody|cloud"},  # it is left alone then, and another answers the next turn
        words="is none: ",
    ),
    Behaviour(
        "cut-thoughts",
        "A thought that took all the tokens of an answer leaves none, and that is told",
        "anthropics/claude-code/issues/68882",
        ("llama_cpp", "vllm"),
        _habit("thinks on"),
        NOBODY,
        words="is none: |output token maximum",
    ),
    Behaviour(
        "slow-prompt",
        "A first prompt that takes longer than stream_timeout_seconds is answered by another, or told",
        "Alishahryar1/free-claude-code/issues/735, anthropics/claude-code/issues/51239",
        ("llama_cpp", "lm_studio"),
        _slow,
        NO_GATEWAY,
        words="timed out|timeout",
        without=lambda stage, kind: fault(stage, kind.server, "hang", path=ASKED, seconds=1.0),
    ),
    Behaviour(
        "busy",
        "A server that works for somebody here, and is slow to tell what it has, is asked all the same",
        "EmbeddedLLM/embeddedllm/issues/29, fr0ster/llm-agent/issues/13",
        ("lm_studio", "vllm"),
        _busy,
        ALL_LOCAL,
        taken_out="s/there = any(works_on.*/there = False/; s/^LATELY = 60.0/LATELY = 0.0/",
    ),
    Behaviour(
        "printed-call",
        "A call that is printed after words is no answer: another gives one, or the run does not end well",
        "ggml-org/llama.cpp/issues/20260, jundot/omlx/issues/3153, ollama/ollama/issues/15529",
        ("lm_studio", "llama_cpp", "vllm", "ollama"),
        _says('I will look. <tool_call>{"name": "Bash", "arguments": {"command": "ls"}}</tool_call>'),
        NO_GATEWAY,
        words=NONE,
    ),
    Behaviour(
        "leftovers",
        "What a template has left over is no answer either, and neither is a call that begins one",
        "lablup/mlxcel/issues/654, ggml-org/llama.cpp/pull/15158, vllm-project/vllm/issues/26083",
        ("vllm", "llama_cpp", "lm_studio", "ollama"),
        _says("<|channel|>commentary to=functions.Bash <|constrain|>json<|message|>{}"),
        NO_GATEWAY,
        words=NONE,
    ),
    Behaviour(
        "empty",
        "An answer without content is none",
        "kekzl/imp/pull/1719, huggingface/transformers/issues/40620",
        ("ollama", "llama_cpp", "vllm", "lm_studio"),
        _says(""),
        NO_GATEWAY,
        words=NONE,
    ),
)
