"""Which model server, which of its models, and with how much context."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from signalbox.backends import BACKENDS
from signalbox.fields.numbers import CONTEXT_FLOOR
from signalbox.fields.urls import ServerUrl, host_problem
from signalbox.host.shared.context import ROOMY
from signalbox.init import help_texts, model_servers
from signalbox.init.probe_results import Server
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.questions.host import LOOPBACK
from signalbox.init.to_settings import Local
from signalbox.init.validators import field_value, listed, picked, shown
from signalbox.secrets import Secret


def backend(given: str, known: Known) -> str:
    """Addresses at which a model server answers, or `none`."""
    known.servers, known.server = [], None
    if given.lower() == "none":
        return "none"
    for each in listed(given):
        if "://" not in each and re.fullmatch(r"[^:\[\]]+:\d+", each):
            each = f"http://{each}"
        if "://" in each:
            field_value(ServerUrl, each)
            where = urlsplit(each).hostname or ""
        else:
            where = each
            if problem := host_problem(where):
                raise WrongAnswerError(f"{problem}, or its URL, such as http://192.168.1.20:1234, or none")
        if where in LOOPBACK:
            raise WrongAnswerError(f"{each} is whatever machine says it; write its address in your network, or none")
        known.servers += model_servers.find(each)
    if not known.servers:
        raise WrongAnswerError(
            f"no model server answers at {given}; start it so that your network reaches it (? tells how), or write its "
            "URL with the port, or none"
        )
    if len(known.servers) == 1:
        known.server = known.servers[0]
    return given


def pick_server(given: str, known: Known) -> str:
    """One of the servers that were found, by its URL or number."""
    known.server = picked(given, [server.url for server in known.servers], known.servers)
    return known.server.url


def backend_token(given: str, known: Known) -> str:
    """A token with which the server tells its models."""
    assert known.server is not None
    if not given.isascii() or Secret(given).problem():
        raise WrongAnswerError("this is no token; copy it again from the server's settings")
    # What kind it is may only be seen now.
    found = [each for each in model_servers.find(known.server.url, Secret(given)) if not each.locked]
    if not found:
        raise WrongAnswerError(f"{known.server.url} does not take this token; copy it again from the server's settings")
    known.server = found[0]
    return ""


def token_name(known: Known) -> str:
    """Return the name of the secret with the chosen server's token."""
    return Local(known.server.kind if known.server else "", "", "", 0).secret


def model(given: str, known: Known) -> str:
    """A model of the server that is loaded with enough context; an id that it does not list is a mistake."""
    assert known.server is not None
    again = model_servers.find(known.server.url, known.secrets.get(token_name(known)))
    known.server = next((each for each in again if each.kind == known.server.kind), known.server)
    choice = picked(given, [each.id for each in known.server.models], known.server.models)
    if choice.context is not None and choice.context < CONTEXT_FLOOR:
        raise WrongAnswerError(
            f"{choice.id} is loaded with {choice.context} tokens of context, and Claude Code needs {CONTEXT_FLOOR}; "
            "load it with more, then answer again" + _cure(known.server, choice.id)
        )
    reading = model_servers.reading(known.server, choice.id)
    if choice.context is None and reading is not None and not reading.on_demand:
        raise WrongAnswerError(
            f"{choice.id} is not loaded, and loaded on demand it may get too little context; load it there, then "
            f"answer again{_cure(known.server, choice.id)}"
        )
    return choice.id


def _cure(server: Server, name: str) -> str:
    reading = model_servers.reading(server, name)
    return f": {reading.cure.format(context=ROOMY)}" if reading else ""


def context(given: str, _: Known) -> str:
    """Tokens, at least what Claude Code needs."""
    if not given.isdigit():
        raise WrongAnswerError(f"{shown(given)} is no number of tokens; write one such as 65536")
    if not CONTEXT_FLOOR <= int(given) <= 1 << 22:
        raise WrongAnswerError(f"{given} is not between {CONTEXT_FLOOR}, which Claude Code needs, and {1 << 22}")
    return str(int(given))


def _has_server(known: Known) -> bool:
    return known.server is not None


def _needs_token(known: Known) -> bool:
    return known.server is not None and known.server.locked


def _context_untold(known: Known) -> bool:
    """Whether the server did not tell how much the chosen model is loaded with."""
    server = known.server
    return server is not None and loaded_context(known) is None


def loaded_context(known: Known) -> int | None:
    """Return the tokens that the chosen model is loaded with, by its server's word."""
    models = known.server.models if known.server else ()
    return next((each.context for each in models if each.id == known.answers.get("model")), None)


def _models(known: Known) -> list[str]:
    models = known.server.models if known.server else ()
    return [f"{each.id} ({_loaded(each.context)})" for each in models]


def _loaded(tokens: int | None) -> str:
    if tokens is None:
        return "not loaded"
    return f"loaded with {tokens} tokens" + (f"; a session needs {ROOMY}" if tokens < ROOMY else "")


QUESTIONS = (
    Question(
        id="backend",
        words="Address of the machine that runs your model server (several with commas; `none`: cloud alone)",
        example="192.168.1.20, or http://192.168.1.20:1234",
        more=lambda _: (
            "At an address these are tried, and nothing else:\n"
            + "\n".join(f"  {kind} at {module.usual}; start it so: {module.start}" for kind, module in BACKENDS.items())
            + f"\n\n{help_texts.table()}"
        ),
        check=backend,
    ),
    Question(
        id="server",
        words="Several model servers answer. Which one?",
        choices=lambda known: [f"{server.url} ({server.kind})" for server in known.servers],
        default="1",
        more="More of them can be written to group_data/claude_hosts.py afterwards; docs/backends.md says how.",
        check=pick_server,
        when=lambda known: len(known.servers) > 1,
    ),
    Question(
        id="backend_token",
        words="This server asks for a token",
        example="what its settings show as API token; it is not shown",
        more="LM Studio: Developer, Server Settings, Require Authentication. Others: what they were started with.",
        check=backend_token,
        when=_needs_token,
        secret=token_name,
    ),
    Question(
        id="model",
        words="Which model of it?",
        choices=_models,
        default="1",
        more=lambda known: (
            f"It needs at least {CONTEXT_FLOOR} tokens of context, {ROOMY} are better. There: "
            f"{BACKENDS[known.server.kind].start if known.server else ''}\n\n{help_texts.table()}"
        ),
        check=model,
        when=_has_server,
    ),
    Question(
        id="context",
        words="The server does not tell how much context that model gets. How many tokens?",
        example=str(ROOMY),
        default=str(ROOMY),
        more="What the server was started with, or loads the model with. Too large a number makes requests fail.",
        check=context,
        when=_context_untold,
    ),
)
