"""LiteLLM plug-in: one JSON line a request in requests.jsonl: who asked, who answered, tokens, cost, time.

It stands around LiteLLM's web application and reads what goes over the wire: so a line tells what the client got,
stream cut or not. Never content, never a vendor's words: an error is told as one of our own classes.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hooks by these names)

import contextlib
import contextvars
import datetime
import fcntl
import json
import os
import re
import sys
import time

import litellm
from litellm.integrations.custom_logger import CustomLogger

from . import tls
from .lines import Document, Lines, parsed, part, parts, text

DIRECTORY = os.environ.get("SIGNALBOX_AUDIT", "/signalbox/audit")
FILE = "requests.jsonl"
MAX_BYTES = int(os.environ.get("SIGNALBOX_AUDIT_MIB", "16")) << 20  # then requests.1.jsonl, .2, …
OLD_FILES = int(os.environ.get("SIGNALBOX_AUDIT_FILES", "8"))
COMPARED_WITH = os.environ.get("SIGNALBOX_AUDIT_COMPARED_WITH", "")  # what local work is priced at, too
LOCAL = frozenset(os.environ.get("SIGNALBOX_LOCAL", "").split())  # backends that bill nobody

ASKS = ("/messages", "/completions", "/responses", "/embeddings")  # how the paths end that a model answers
CHARACTERS_A_TOKEN = 4  # for an estimate where a server does not count
WORD = re.compile(r"[\w.:@/-]{1,128}")  # what a header may put into a line
CLAUDE = re.compile(r"claude-(?:fable|opus|sonnet|haiku)-\d+(?:-\d+)?")  # in a model's name, as the vendor calls it
OVERFLOW = re.compile(r"context|n_ctx|n_keep|too (?:long|large|many tokens)|exceed", re.IGNORECASE)
QUOTA = re.compile(  # what is between two words has a bound: else a long answer takes time that is not linear
    r"credit balance|insufficient_quota|quota (?:is )?exceeded|exceeded your .{0,80}quota"
    r"|(?:usage|spend(?:ing)?) limit",
    re.IGNORECASE,
)
WORDS = 1 << 13  # characters that are read of an error
COUNT = 1 << 40  # a server that counts more tokens has not counted
COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "prompt_tokens",
          "completion_tokens", "cached_tokens")  # fmt: skip
REQUEST = 1 << 26  # bytes of a request in which its model is looked for
TIMED_OUT = re.compile(r"timeout on reading|timed out", re.IGNORECASE)
BY_STATUS = {400: "bad_request", 401: "auth", 402: "quota", 403: "auth", 404: "not_found", 408: "timeout",
             413: "overflow", 429: "rate_limit", 499: "client_gone", 503: "unavailable", 504: "timeout",
             529: "overloaded"}  # fmt: skip
BY_ERROR = {"ContextWindowExceededError": "overflow", "Timeout": "timeout", "APIConnectionError": "unreachable",
            "RouterRateLimitError": "cooldown", "AuthenticationError": "auth", "PermissionDeniedError": "auth",
            "RateLimitError": "rate_limit", "ServiceUnavailableError": "unavailable", "NotFoundError": "not_found",
            "BadRequestError": "bad_request"}  # fmt: skip

_current = contextvars.ContextVar("signalbox_audit", default=None)
current = _current.get  # the request that this task serves; None outside of one
under_way = set()  # every request that is being served


def noticed(why):
    """Take note of why the deployment that is asked now fails, before LiteLLM puts it in words of its own."""
    request = _current.get()
    if request and request.tried:
        request.tried[-1][1] = request.tried[-1][1] or why


def name_of(model):
    """Return a model's name in the settings: LiteLLM lists one without "claude" in it to Claude Code in hexadecimal."""
    with contextlib.suppress(ValueError):
        if model.startswith("claude-router-"):
            return bytes.fromhex(model.removeprefix("claude-router-")).decode()
    return model


class Request:
    """What is known of one request so far."""

    def __init__(self, scope):
        self.started = time.monotonic()
        self.time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self.headers = headers(scope)
        self._body = Document(REQUEST)
        self.asked = None
        self.client = self.may = None  # whose key it has, of gateway.clients, and which models that one may ask
        self.sent = {}  # headers of the answer
        self.status = None
        self.first_byte = None
        self.fallback = None  # the model that failed first
        self.error_class = None
        self.tried = []  # [model_info, why it failed or None] of each deployment that failover.py let be asked
        self.estimated = None  # True: LiteLLM itself counted what the server did not
        self.stopped = None  # the model that was not asked, and why: "ask", or the budget that is used up
        self.mended = set()  # what mend.py has changed that a person may want to know: "schemas", "images"
        self.answer = Answer()

    def asks(self, chunk, more):
        """Take a piece of the request's body."""
        self._body.take(chunk)
        if not more and self.asked is None:
            self.asked = name_of(text(self._body.value(), "model"))[:128] or None
            self._body.forget()

    def line(self):
        """Return the record of the request, which has ended."""
        deployment, _, model = self.sent.get("x-litellm-model-id", "").partition("/")
        answered = (self.status or 500) < 400
        counted = self.answer.counted() if answered else {"input": 0, "output": 0, "cached": 0, "written": 0}
        estimated = answered and (counted is None or bool(self.estimated))
        tokens = counted or {
            "input": self._body.length // CHARACTERS_A_TOKEN,
            "output": self.answer.characters // CHARACTERS_A_TOKEN,
            "cached": 0,
            "written": 0,
        }
        local = deployment in LOCAL
        name = self.sent.get("x-litellm-model-name", "")
        own = next((info.get("price") for info, _ in self.tried if info.get("id") == f"{deployment}/{model}"), None)
        return {
            "time": self.time,
            "session": word(self.headers.get("x-claude-code-session-id")),
            "run": word(self.headers.get("x-signalbox-run")),
            "lane": word(self.headers.get("x-signalbox-lane")),
            "client": self.client,
            "asked": self.asked,
            "model": model or None,
            "backend": deployment if model else None,
            "fallback": self.fallback,
            "error_class": self.error_class or self._error_class(),
            "status": self.status,
            "input_tokens": tokens["input"] + tokens["written"],
            "output_tokens": tokens["output"],
            "cached_tokens": tokens["cached"],
            "estimated": estimated,
            "cost_usd": 0.0 if local or not answered else price(name, model, tokens, own),
            "compared_usd": price(COMPARED_WITH, "", tokens) if local and answered else None,
            "mended": sorted(self.mended),
            "seconds": round(time.monotonic() - self.started, 3),
            "first_byte_seconds": self.first_byte and round(self.first_byte, 3),
        }

    def _error_class(self):
        if self.status is None:
            return "client_gone"
        if self.status < 400:
            return self.answer.error
        why = next((why for _, why in self.tried if why), None)
        return why or BY_STATUS.get(self.status, "server_error" if self.status >= 500 else "bad_request")


class Answer:
    """Counts tokens in an answer, a stream of server-sent events or one JSON document."""

    def __init__(self):
        self._lines, self._document = Lines(), Document()
        self._usage = {}
        self._ended = False
        self.characters = 0
        self.error = None

    def take(self, chunk, stream):
        if stream:
            for data in self._lines.take(chunk):
                self._ended = self._ended or data == b"[DONE]"
                self._event(parsed(data))
        else:
            self._document.take(chunk)

    def end(self, stream):
        """Take note that the answer is over. An answer that was cut off has an error."""
        if stream:
            self.take(b"\n", stream)
            self.error = self.error or (None if self._ended else "cut")
        elif self._document.too_long:
            self.characters = self._document.length
        else:
            self._event(self._document.value())

    def counted(self):
        """Return the tokens as the server counted them; None where it did not, or not to the end."""
        usage = self._usage
        output = usage.get("output_tokens") or usage.get("completion_tokens") or 0
        if not self._ended or not (output or not self.characters):
            return None
        written = usage.get("cache_creation_input_tokens", 0)
        cached = usage.get("cache_read_input_tokens") or usage.get("cached_tokens") or 0
        given = usage.get("input_tokens")
        if given is None:  # OpenAI counts what was cached among the prompt's
            given = max(0, usage.get("prompt_tokens", 0) - cached)
        if not given and not cached and not written:
            return None  # no request is empty: the server did not count
        return {"input": given, "output": output, "cached": cached, "written": written}

    def _event(self, event):
        if not event:
            return
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            told = text(event.get("error"), "type")
            self.error = {"overloaded_error": "overloaded", "rate_limit_error": "rate_limit",
                          "timeout_error": "timeout"}.get(told, "stream_error")  # fmt: skip
        self._ended = self._ended or kind in ("message_stop", "message") or text(event, "object").endswith("completion")
        usage = part(part(event, "message") if kind == "message_start" else event, "usage")
        for each in (usage, part(usage, "prompt_tokens_details")):
            self._usage |= {name: each[name] for name in COUNTS if is_count(each.get(name))}
        self.characters += spoken(event)


def is_count(value):
    """Return whether a value of a server's `usage` is a number of tokens."""
    return type(value) is int and 0 < value < COUNT


def spoken(event):
    """Return how many characters of an event are the model's own."""
    said = [part(event, "delta"), *parts(event, "content")]
    for choice in parts(event, "choices"):
        message = part(choice, "delta") or part(choice, "message")
        said += [message, *(part(call, "function") for call in parts(message, "tool_calls"))]
    names = ("text", "thinking", "partial_json", "content", "arguments")
    words = sum(len(text(each, name)) for each in said for name in names)
    return words + sum(length(each.get("input")) for each in said)


def length(value):
    """Return how many characters a tool's input is long."""
    try:
        return len(json.dumps(value)) if value else 0
    except (ValueError, RecursionError):
        return 0


def price(name, model, tokens, own=None):
    """Return what the tokens cost in USD; None where that is not known.

    own: the price that the settings tell: "plan" (nothing more than what is paid anyway), or USD a million of input,
    cached and output; None: what LiteLLM's list of prices knows.
    """
    if own == "plan":
        return 0.0
    if own:
        paid = (tokens["input"] + tokens["written"]) * own["input"] + tokens["cached"] * own["cached"]
        return round((paid + tokens["output"] * own["output"]) / 1e6, 8)
    usage = litellm.Usage(
        prompt_tokens=tokens["input"] + tokens["cached"] + tokens["written"],
        completion_tokens=tokens["output"],
        cache_read_input_tokens=tokens["cached"],
        cache_creation_input_tokens=tokens["written"],
    )
    canonical = CLAUDE.search(model)  # a deployment of one's own has a name that no list knows
    for known in (name, model, canonical and canonical[0]):
        with contextlib.suppress(Exception):
            return round(sum(litellm.cost_per_token(model=known, usage_object=usage)), 8)
    return None


def headers(message):
    """Return the headers of an ASGI message, names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}


def word(value):
    """Return a header's value if it is one harmless word."""
    return value if value and WORD.fullmatch(value) else None


def error_class(error):
    """Return our own word for what went wrong with a model."""
    if told := getattr(error, "signalbox_class", None):
        return told
    name, words = type(error).__name__, words_of(error)  # read here, written nowhere
    if QUOTA.search(words):
        return "quota"
    if of_a_certificate := tls.why(error):
        return of_a_certificate
    if name == "BadRequestError" and OVERFLOW.search(words):
        return "overflow"
    if name == "APIConnectionError" and TIMED_OUT.search(words):
        return "timeout"  # a server that stops in mid-stream; that it still answers probes says nothing
    if words.rstrip(" .None").endswith("Connection error"):
        return "unreachable"  # LiteLLM calls it an InternalServerError
    status = getattr(error, "status_code", None)
    return BY_ERROR.get(name) or BY_STATUS.get(status, "server_error")


def words_of(error):
    """Return what a server says in an error, as far as it is read."""
    told = []
    for each in (error, getattr(error, "body", "")):
        with contextlib.suppress(RecursionError, ValueError):  # nested too deeply; a number that is too long
            told.append(str(each)[:WORDS])
    return " ".join(told)


class Audit(CustomLogger):
    """Stands around the application, and hears from the router why it went to another model.

    broke_off: called with a deployment's id and why, when its answer ended in an error after its first words.
    wrote: called with each record when it has been written.
    """

    def __init__(self):
        super().__init__()
        self.broke_off = self.wrote = None

    async def log_success_fallback_event(self, original_model_group, kwargs, original_exception):
        self._heard(original_exception, answered=True)

    async def log_failure_fallback_event(self, original_model_group, kwargs, original_exception):
        self._heard(original_exception, answered=False)

    def _heard(self, error, answered):
        request = _current.get()
        if request:
            if answered:  # LiteLLM's own word for what failed first may be a fallback that was left out
                request.fallback = request.fallback or request.asked
            request.estimated = None  # what was guessed of the answer that failed says nothing of the next
            cause = getattr(error, "original_exception", None) or error
            told = request.tried[0][1] if request.tried else None
            request.error_class = request.error_class or told or error_class(cause)

    def around(self, application):
        """Return the web application (ASGI) with the audit around it."""

        async def serve(scope, receive, send):
            if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(ASKS):
                await application(scope, receive, send)
                return
            request = Request(scope)
            stream = False

            async def hear():
                message = await receive()
                if message["type"] == "http.request":
                    request.asks(message.get("body", b""), message.get("more_body"))
                return message

            async def say(message):
                nonlocal stream
                if message["type"] == "http.response.start":
                    request.status = message["status"]
                    request.sent = headers(message)
                    stream = request.sent.get("content-type", "").startswith("text/event-stream")
                elif message["type"] == "http.response.body":
                    body = message.get("body", b"")
                    if body and request.first_byte is None:
                        request.first_byte = time.monotonic() - request.started
                    request.answer.take(body, stream)
                await send(message)

            token = _current.set(request)
            under_way.add(request)
            try:
                await application(scope, hear, say)
            finally:
                _current.reset(token)
                under_way.discard(request)
                if request.answer.error and request.tried:
                    request.answer.error = request.tried[-1][1] or request.answer.error
                if request.answer.error and self.broke_off:  # not "cut": that may be the client
                    self.broke_off(request.sent.get("x-litellm-model-id"), request.answer.error)
                request.answer.end(stream)
                record = request.line()
                write(record)
                if self.wrote:
                    self.wrote(record)

        return serve


def write(record):
    """Append a line. What cannot be written is told in the log, and the request is served all the same."""
    path = os.path.join(DIRECTORY, FILE)
    try:
        # Opened anew each time: another gateway, one that drains, may have rotated the file.
        with open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
            file.write(json.dumps(record) + "\n")
            full = file.tell() > MAX_BYTES
        if full:
            rotate(path)
    except OSError as error:
        print(f"signalbox: the audit cannot be written: {error}", file=sys.stderr, flush=True)


def put(name, text, directory=DIRECTORY):
    """Have a file beside the audit hold this, whole or as it was. Raises OSError."""
    path = os.path.join(directory, name)
    new = f"{path}.{os.getpid()}.new"  # another gateway, one that drains, may write its own
    with open(new, "w", opener=lambda name, flags: os.open(name, flags, 0o640), encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)


def rotate(path):
    """Move the file aside, and each older one a number up; the oldest goes."""
    stem = path.removesuffix(".jsonl")
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if os.path.getsize(path) <= MAX_BYTES:
            return  # another gateway was faster
        for number in range(OLD_FILES, 0, -1):
            older = path if number == 1 else f"{stem}.{number - 1}.jsonl"
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{stem}.{number}.jsonl")
    finally:
        os.close(directory)


plugin = Audit()
