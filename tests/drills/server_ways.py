"""What people meet with the servers they have: each behaviour, each way to the server, each form of using Claude Code.

A table of behaviours, of ways and of forms; `look` plays one of each, and says who answered, what was billed and what
was told. None may end well (exit status 0) with the work undone, and nothing may be billed that is not told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.drills import looks, record
from tests.drills.failures import Kind, audit, fault, local_again, options
from tests.drills.screen import MODES, TRUST, Terminal
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until, write

DIRECTORY = "~/drill-inside"
IMAGE = "/home/claude/drill-inside/x.png"
# One pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELLO, TOOL = "say hello", "run: echo made-$((6*7))"
SEE = f'call the tool "Read" with {json.dumps({"file_path": IMAGE})}'
ENVIRONMENT = "CLAUDE_CODE_MAX_RETRIES=1 timeout 170"  # seconds; a lane's own three tries show nothing more here
WAYS = ("gateway", "direct", "private")
FORMS = ("-p", "tools", "turns", "terminal")
TURNS = 5
ASKED = "*/[cm][he][as]*"  # where a model is asked: /chat, /chat/completions, /messages
AGAIN = "Resend your message to try again"  # so Claude Code 2.1.329 says at a terminal after words and an error
NONE = "the answer is none: "
DONE = "Hello from simulated|made-42|saw the output"


@dataclass(frozen=True)
class Behaviour:
    """What a server does, by public reports (source), and how a simulated one is made to do it.

    kinds: of servers that it is reported of; the first is played in every form, the others with -p and tools.
    prompt: of the first turn, where another than that of the form. ours: whether plain Claude Code fails.
    by: who does the work, of each way: "local", "cloud", or "nobody": then words tells what the person reads (a
    pattern).
    """

    name: str
    shows: str
    source: str
    kinds: tuple[str, ...]
    have: Callable[[Stage, Kind], AbstractContextManager[None]]
    by: Mapping[str, str]
    prompt: str | None = None
    ours: bool = False
    words: str = r"\S"


def _habit(habit: str) -> Callable[[Stage, Kind], AbstractContextManager[None]]:
    return lambda stage, kind: options(stage, kind.server, habit=habit)


def _slow(seconds: float, path: str = ASKED) -> Callable[[Stage, Kind], AbstractContextManager[None]]:
    return lambda stage, kind: fault(stage, kind.server, "hang", path=path, seconds=seconds)


def _says(text: str) -> Callable[[Stage, Kind], AbstractContextManager[None]]:
    return lambda stage, kind: fault(stage, kind.server, "garble", path=ASKED, text=text)


ALL_LOCAL = {"gateway": "local", "direct": "local", "private": "local"}
NO_GATEWAY = {"gateway": "cloud", "direct": "nobody", "private": "nobody"}
BEHAVIOURS = (
    Behaviour(
        "roles",
        "A server that refuses system messages in mid-conversation answers in every way",
        "ggml-org/llama.cpp/issues/27367, vllm-project/vllm/issues/44000, lmstudio-ai/lmstudio-bug-tracker/issues/2204,"
        " ollama/ollama/issues/17774",
        ("llama_cpp", "vllm", "lm_studio", "ollama"),
        _habit("strict roles"),
        ALL_LOCAL,
        ours=True,
    ),
    Behaviour(
        "images",
        "A model that sees no images is not shown any, and goes on",
        "lmstudio-ai/lmstudio-bug-tracker/issues/908, vllm-project/vllm/issues/19144",
        ("llama_cpp", "lm_studio", "ollama"),
        _habit("text only"),
        ALL_LOCAL,
        prompt=SEE,
        ours=True,
    ),
    Behaviour(
        "router",
        "A router that has not loaded the model loads it, and is told from one that has too little",
        "ggml-org/llama.cpp/issues/18035, mostlygeek/llama-swap/issues/854",
        ("llama_cpp",),
        lambda stage, kind: options(stage, kind.server, router=True, loaded=False),
        ALL_LOCAL,
    ),
    Behaviour(
        "too-little",
        "A router's model that is loaded with 8192 tokens is refused in words before anything is asked",
        "ggml-org/llama.cpp/issues/18035",
        ("llama_cpp",),
        lambda stage, kind: options(stage, kind.server, router=True, context_length=8192),
        dict.fromkeys(WAYS, "nobody"),
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


def lanes(every: Mapping[str, Kind]) -> dict[str, Any]:
    """Return a lane for each kind and way."""
    slots = ("main", "opus", "sonnet", "haiku", "fable")
    direct = {"via": "direct", "credential": "none"}
    more = {"gateway": {}, "direct": direct, "private": {**direct, "private": True}}
    return {
        f"{kind.server}-{way}": {
            "models": dict.fromkeys(slots, kind.model),
            "config_dir": f"~/.claude-{kind.server}-{way}",
            **more[way],
        }
        for kind in every.values()
        for way in WAYS
        if kind.server != "webui" or way == "gateway"
    }


def prepare() -> None:
    """Have the directory with its image on the host."""
    looks.answer(f"mkdir -p {DIRECTORY} && echo {PNG} | base64 -d > {IMAGE}")


def look(stage: Stage, behaviour: Behaviour, kind: Kind, way: str, form: str) -> dict[str, str]:
    """Play one; return its row. AssertionError where it ends well and the work is undone, or is billed untold."""
    stage.simulators.clear()
    if way == "gateway":
        local_again(kind)
        stage.simulators.clear()
    looks.answer(f"rm -rf ~/.claude-{kind.server}-{way}/projects")
    before = len(audit())
    with behaviour.have(stage, kind):
        status, said = _play(f"claude-{kind.server}-{way}", form, behaviour.prompt)
    lines = _new_lines(before)
    paid = [each for each in looks.chats(stage, "anthropic") if each["status"] == 200]
    done = bool(re.search(DONE, said))
    where = f"{behaviour.name}, {kind.server}, {way}, {form}"
    assert done or status, f"{where}: it ended well, and did nothing: {said[-400:]}"
    assert not paid or way == "gateway", f"{where}: a cloud was asked: {paid}"
    assert all(line["fallback"] and line["error_class"] for line in lines if line["cost_usd"]), f"{where}: {lines}"
    by = "nobody" if not done else "cloud" if paid else "local"
    assert by == behaviour.by[way], f"{where}: {by} did it, not {behaviour.by[way]}: {status} {said[-400:]} {lines}"
    assert by != "nobody" or re.search(behaviour.words, said), f"{where}: {said[-400:]}"
    why = sorted({f"{line['error_class']}" for line in lines if line["fallback"]})
    mended = sorted({each for line in lines for each in line["mended"]})
    words = said.strip().splitlines()[-1][:90] if by == "nobody" else ""
    told = [*(f"audit: {each}" for each in why), *(f"mended: {each}" for each in mended), *([words] if words else [])]
    billed = sum(line["cost_usd"] or 0 for line in lines)
    return {"kind": kind.server, "way": way, "form": form, "by": by, "billed": f"{billed:.4f}" if billed else "",
            "told": "; ".join(told)}  # fmt: skip


def plainly(stage: Stage, behaviour: Behaviour, kind: Kind) -> None:
    """AssertionError unless Claude Code without a lane does the work with this server."""
    url = stage.simulators.servers()[kind.server]
    told = {
        "ANTHROPIC_BASE_URL": f"http://{url['bind']}:{url['port']}", "ANTHROPIC_AUTH_TOKEN": "none",
        "ANTHROPIC_MODEL": kind.model, "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "32768", "CLAUDE_CODE_MAX_RETRIES": "0",
        "CLAUDE_CONFIG_DIR": "/home/claude/.claude-plain", "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip
    variables = " ".join(f"{name}={value}" for name, value in told.items())
    words = looks.quoted(behaviour.prompt or HELLO)
    with behaviour.have(stage, kind):
        status, said = _ran(f"env {variables} ~/.local/bin/claude -p --allowedTools Read -- {words}")
    assert status == 0, said[-300:]
    assert re.search(DONE, said), said[-300:]


def _play(lane: str, form: str, prompt: str | None) -> tuple[int, str]:
    """Use Claude Code in this form; return an exit status (of the first that is not 0) and all that was said."""
    allowed = "--allowedTools Bash,Read --"
    if form == "terminal":
        return _at_a_terminal(f"CLAUDE_CODE_MAX_RETRIES=1 {lane} --allowedTools=Bash,Read", prompt or HELLO)
    if form != "turns":
        words = prompt or (TOOL if form == "tools" else HELLO)
        return _ran(f"{lane} -p {allowed} {looks.quoted(words)}")
    first = _ran(f"{lane} -p {allowed} {looks.quoted(prompt or HELLO)}")
    later = [_ran(f"{lane} --continue -p {allowed} {looks.quoted(HELLO)}") for _ in range(TURNS - 1)]
    statuses = [status for status, _ in (first, *later)]
    undone = [said for status, said in later if not status and "Hello from" not in said]
    assert not undone, f"a later turn ended well, and said nothing: {undone}"
    return next((status for status in statuses if status), 0), "\n".join(said for _, said in (first, *later))


def _at_a_terminal(command: str, prompt: str) -> tuple[int, str]:
    """Type a prompt; return 1 where Claude Code has not started, or tells an error, and what stands on the screen."""
    ended = "it has ended"
    with Terminal(f"{command}; echo {ended}; sleep 300", DIRECTORY) as session:
        if session.first(TRUST, ended, *MODES.values()) == TRUST:
            session.press("Down", "Enter")
            session.first(*MODES.values())
        if ended in session.screen():
            return 1, session.screen()
        for _ in range(2):
            session.type(prompt)
            wait_until(lambda: bool(re.search(f"{DONE}|API Error|{NONE}", session.screen())), 90, 0.5)
            if AGAIN not in session.screen():
                break
        return (1 if re.search(f"API Error|{NONE}", session.screen()) else 0), session.screen()


def _ran(command: str) -> tuple[int, str]:
    done = hosts.run(HOST, f"cd {DIRECTORY} && {ENVIRONMENT} {command}", user="claude", check=False, timeout=200)
    return done.returncode, f"{done.stderr}\n{done.stdout}"


def _new_lines(before: int) -> list[dict[str, Any]]:
    """Return the audit's new lines, once no more come."""
    seen = [-1]

    def still() -> bool:
        seen.append(len(audit(before)))
        return seen[-1] == seen[-2]

    wait_until(still, 5, 0.3)
    return audit(before)


def forms(behaviour: Behaviour, which: str) -> Sequence[str]:
    """Return the forms that are played with this kind of server."""
    return FORMS if which == behaviour.kinds[0] else FORMS[:2]


def keep(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Keep the rows of a behaviour."""
    write(record.STATE / "servers" / f"rows-{name}.json", json.dumps(rows))


def publish() -> None:
    """Write the page of all rows: those of behaviours that have been played here, the others as they were."""
    path = record.DOCS / "servers_rows.md"
    rows = record.sections(path)
    for each in BEHAVIOURS:
        file = record.STATE / "servers" / f"rows-{each.name}.json"
        if file.exists():
            rows[each.name] = [record.row(row.values()) for row in json.loads(file.read_text())]
    head = [
        "# servers: the rows",
        "",
        "Who did the work, USD that the audit counts, and what was told, of each behaviour, kind of server, way to it "
        f"and form: `-p`, `-p` with a tool call, {TURNS} turns with `--continue`, a session at a terminal. When and "
        "with which commit: [servers.md](servers.md).",
        "",
        *(f"- {each.name}: {each.shows} ({each.source})" for each in BEHAVIOURS),
    ]
    columns = "server | way | form | by | USD | told"
    record.write_sections(
        path, head, {each.name: (columns, rows[each.name]) for each in BEHAVIOURS if each.name in rows}
    )


def played(stage: Stage, behaviour: Behaviour, every: Mapping[str, Kind]) -> Iterator[dict[str, str]]:
    """Yield the rows of a behaviour."""
    for which in behaviour.kinds:
        for way in behaviour.by:
            for form in forms(behaviour, which):
                yield look(stage, behaviour, every[which], way, form)
