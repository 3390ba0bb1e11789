"""LiteLLM plug-in: which deployments are asked, and which are left out because they failed or are not there.

LiteLLM's own cooldown and health checks are off. A cooldown forgets why, so that a quota cannot be told from a crash;
health checks send completions, which evict the prompt cache of a local server, and do not spare a request the wait
for a machine that is off. This asks the local server's list of models instead, in the background and just before a
request: a millisecond on a LAN, nothing to compute, and answered while a long prompt is being read. And it reads with
how much context each model is loaded: one that has less of it than Claude Code needs is left out like one that is gone.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hooks by these names)

import asyncio
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

from litellm import BadRequestError, ContextWindowExceededError, ServiceUnavailableError
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from ..shared import context, reasons
from . import allow, audit, budget, images, lengths, probe, request_rewriting, websearch

INTERVAL = float(os.environ.get("SIGNALBOX_PROBE_SECONDS", "5"))  # between probes of a local server
REST = float(os.environ.get("SIGNALBOX_COOLDOWN_SECONDS", "20"))  # for which one that failed is left alone
LONGEST_REST = 600.0  # whatever a cloud's retry-after says
LATELY = 60.0  # seconds for which a server that has worked here, and takes connections, is taken for busy
THREADS = 64  # for names that nobody resolves: they keep neither LiteLLM nor another server waiting
QUOTA = ("rate_limit", "quota")  # what only time heals
# What may follow in a lane, where it is not all that `fallbacks` tell: clouds alone; ask: what bills nobody, until
# somebody allows more; or none.
FALLBACKS_OF = dict(each.split("=") for each in os.environ.get("SIGNALBOX_LANE_FALLBACKS", "").split())
# LiteLLM would drop the tool, and Claude Code take what the model makes up for what was found.
NO_SEARCH = "{} cannot search the web: that is a service of Anthropic's models; ask without WebSearch"
# The beginning as Anthropic has it: Claude Code knows that one, and summarises the conversation.
TOO_LONG = "prompt is too long: about {} tokens > {} of {}, which would cut it without a word"
OF_THE_REQUEST = ("bad_request", "overflow", "cooldown")  # the next request may be another


class Failover(CustomLogger):
    """Filter of deployments; `model_info` says of each what it needs to know (see routes.py).

    id: "<record>/<model>". probe_url: of a local server's list of models; a cloud is never probed.
    reading: of a local model, how its server tells its context (context.py, as the launcher has it).
    fallbacks: models that may follow this one. on_quota: models that may only follow when its quota is used up.
    """

    def __init__(self):
        super().__init__()
        self._gone = set()  # URLs of servers that do not answer
        self._looks = {}  # URL: the probe that is under way
        self._told = {}  # URL: what the last probe came to
        self._worked = {}  # URL: when (monotonic clock) it was last at work for somebody here, and has not failed
        self._resting = {}  # id: until when (monotonic clock), why
        self._loaded = {}  # id: tokens of context that the model is loaded with
        self._short = {}  # id: what is to be said of a model that is loaded with too little context
        self._watch = None

    async def async_filter_deployments(
        self, model, healthy_deployments, messages, request_kwargs=None, parent_otel_span=None
    ):
        """Return the deployments to ask. Where there is none, the error makes LiteLLM take the next fallback."""
        self.start()
        if not healthy_deployments:
            return healthy_deployments
        infos = [each["model_info"] for each in healthy_deployments]
        request = audit.current()
        hop = bool((request_kwargs or {}).get("fallback_depth"))
        if hop and request and (barred := barred_from(request, model)):
            raise unavailable(model, *barred)
        lane = request.headers.get("x-signalbox-lane") if request else None
        there, why = [], None
        for deployment, info in zip(healthy_deployments, infos, strict=True):
            rest = self._rest(info)
            if not (len(infos) > 1 or (not hop and any(followers(request, info, rest)))):
                rest = None  # what has nothing after it is asked however it did before
            if rest is None and not await self._answers(info.get("probe_url")):
                rest = "unreachable"
            if rest is None and (spent := budget.ledger.used_up(deployment, lane, hop)):
                rest = "budget"
                if request:
                    request.stopped = (info["id"], spent)
            if rest is None:
                there.append(deployment)
            why = why or rest
        if not there:
            if request:
                request.tried.append([infos[0], why])
            told = self._why(infos) if why == "unreachable" else None
            closer = f" ({reasons.WHY[told]})" if told else ""
            raise unavailable(model, why, f"the server of '{model}' is left out: {why}{closer}", told)
        return there

    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        """Take note of the one deployment that is asked now, and give it a request that it can take."""
        info = kwargs.get("model_info") or {}
        request = audit.current()
        if request and info.get("id"):
            request.tried.append([info, None])
            self._worked[info.get("probe_url")] = time.monotonic()
        if not info.get("claude") and request_rewriting.searches(kwargs):
            if info.get("searches") and (question := websearch.question(kwargs)):
                return question
            audit.noticed("bad_request")
            raise BadRequestError(NO_SEARCH.format(info.get("id")), llm_provider="", model=str(kwargs.get("model")))
        unread = await images.unread(kwargs.get("messages"), info) if info.get("probe_url") else set()
        given = request_rewriting.mended(kwargs, info, unread)
        await self._must_fit(given or kwargs, info)
        return given

    async def _must_fit(self, kwargs, info):
        """Refuse what the server would cut without a word."""
        reading = info.get("reading") or {}
        if not reading.get("on_demand"):
            return
        context_length = reading["context_length"]
        if tokens := await lengths.too_long(kwargs, context_length):
            audit.noticed("overflow")
            words = TOO_LONG.format(tokens, context_length, info["id"])
            raise ContextWindowExceededError(words, llm_provider="", model=str(kwargs.get("model")))

    async def async_post_call_failure_deployment_hook(self, request_data, exception, call_type, fallback_depth=None):
        """Take note of a deployment that failed before its answer began."""
        self._failed((request_data.get("model_info") or {}).get("id"), exception)

    async def log_success_fallback_event(self, original_model_group, kwargs, original_exception):
        """Take note of one whose answer broke off before its first word."""
        request = audit.current()
        cause = getattr(original_exception, "original_exception", None)
        broken = [info["id"] for info, why in request.tried if why is None] if request else []
        if cause and broken:
            self._failed(broken[0], cause)

    def broke_off(self, ident, why):
        """Take note of one whose answer ended in an error after its first words: the client will ask again."""
        if ident:
            self._resting[ident] = (time.monotonic() + REST, why)

    def loaded(self):
        """Return with how many tokens each deployment is loaded, by its id; None: it is not known."""
        return {info["id"]: self._loaded.get(info["id"]) for info in self._known()}

    def servers(self):
        """Return of each local server, by its record's name, its HTTP status or why there is none; None: not yet."""
        infos = [info for info in self._known() if info.get("probe_url")]
        return {info["id"].partition("/")[0]: self._told.get(info["probe_url"]) for info in infos}

    def _why(self, infos):
        told = (self._told.get(info.get("probe_url")) for info in infos)
        return next((each for each in told if each in reasons.WHY), None)

    def _known(self):
        router = proxy_server.llm_router  # None while LiteLLM reads its configuration
        return [each["model_info"] for each in router.model_list] if router else []

    def following(self, answered):
        """Return the models that may be asked after those that answered, by their ids; not one that has answered."""
        request = audit.current()
        answers = [info for ident in answered for info in self._known() if info["id"] == ident]
        tried = [info for info, _ in request.tried] if request else []
        names = dict.fromkeys(name for info in (*tried, *answers) for name in followers(request, info, None))
        names = [name for name in names if not self._spent(name, request)]
        return [name for name in names if name not in {ident.partition("/")[2] for ident in answered}]

    def _spent(self, model, request):
        """Return whether no budget is left for whoever has this model."""
        lane = request.headers.get("x-signalbox-lane") if request else None
        router = proxy_server.llm_router
        several = [each for each in router.model_list if each["model_name"] == model]
        return bool(several) and all(budget.ledger.used_up(each, lane, True) for each in several)

    def _failed(self, ident, error):
        request = audit.current()
        tries = [each for each in request.tried if each[0]["id"] == ident] if request else []
        unseen = ident and images.refused(ident, audit.words_of(error))
        told = next((told for _, told in tries if told), None)
        why = told or ("bad_request" if unseen else audit.error_class(error))
        for each in tries:
            each[1] = why
        if ident and why not in OF_THE_REQUEST:
            for info in self._known():
                if info["id"] == ident:
                    self._worked.pop(info.get("probe_url"), None)
            asked = retry_after(error) if ident.partition("/")[0] not in audit.LOCAL else None
            self._resting[ident] = (time.monotonic() + (asked or REST), why)

    def _rest(self, info):
        until, why = self._resting.get(info["id"], (0, None))
        return why if time.monotonic() < until else "context" if info["id"] in self._short else None

    async def _answers(self, url):
        if url is None:
            return True
        return url not in self._gone and await self._look(url)

    async def _look(self, url):
        """Probe a server, once for all who want to know at this moment."""
        if url not in self._looks:
            self._looks[url] = asyncio.create_task(probe.answers(url))
        try:
            told = await asyncio.shield(self._looks[url])
        finally:
            self._looks.pop(url, None)
        there = isinstance(told, int)
        if told in ("timeout", "slow"):  # a busy server may be slow to answer, and is not gone
            there = any(works_on(request, url) for request in audit.under_way)
            if there:
                self._worked[url] = time.monotonic()
            elif told == "slow":
                there = time.monotonic() - self._worked.get(url, -LATELY) < LATELY
        self._told[url] = told
        (self._gone.discard if there else self._gone.add)(url)
        return there

    def start(self):
        """Have the local servers looked at from now on."""
        if self._watch is None or self._watch.done():
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
            self._watch = asyncio.create_task(self.watch())

    async def watch(self):
        """Keep an eye on the local servers: one that answers again is asked again."""
        while True:
            infos = self._known()
            urls = {info["probe_url"] for info in infos if info.get("probe_url")}
            there = dict(zip(urls, await asyncio.gather(*map(self._look, urls)), strict=True))
            for info in infos:
                if there.get(info.get("probe_url")) and self._rest(info) == "unreachable":
                    del self._resting[info["id"]]
            read = [info for info in infos if info.get("reading") and there.get(info.get("probe_url"))]
            told = await asyncio.gather(*(probe.loaded(info["reading"]) for info in read))
            self._loaded = {info["id"]: tokens for info, tokens in zip(read, told, strict=True)}
            short = {info["id"]: words for info in read if (words := too_little(self._loaded, info))}
            for words in set(short.values()) - set(self._short.values()):
                print(f"signalbox: {words}", flush=True)
            self._short = short
            await asyncio.sleep(INTERVAL)


def works_on(request, url):
    """Return whether the server with this probe was asked last for this request, and has not failed it."""
    info, why = request.tried[-1] if request.tried else ({}, None)
    return why is None and info.get("probe_url") == url


def barred_from(request, model):
    """Return why a model must not follow those that this request has tried, and in words; None: it may."""
    may = (
        tried["id"].partition("/")[2] == model or model in followers(request, tried, why)
        for tried, why in request.tried
    )
    if request.tried and not any(may):
        why = next((why for _, why in reversed(request.tried) if why), None)
        if rule_of(request) == "ask" and not local(model):
            request.stopped = (model, "ask")
        return why, f"'{model}' follows on a used-up quota alone, or in other lanes"
    return None


def followers(request, info, why):
    """Yield the models that may follow this one, which failed for that reason, in this request's lane."""
    rule = rule_of(request)
    may = request.may if request else None
    for model in dict.fromkeys((*(info.get("on_quota", ()) if why in QUOTA else ()), *info.get("fallbacks", ()))):
        if (may is None or model in may) and follows(rule, model, request):
            yield model


def rule_of(request):
    """Return which models may follow in the lane of this request: all, clouds, ask or none."""
    return FALLBACKS_OF.get(request.headers.get("x-signalbox-lane"), "all") if request else "all"


def follows(rule, model, request):
    """Return whether a model may follow by this rule; one that bills nobody needs nobody's word."""
    if rule == "ask":
        return local(model) or allow.allowed(request)
    return rule == "all" or (rule == "clouds" and not local(model))


def local(model):
    """Return whether a model is served on one's own network."""
    ids = (each["model_info"]["id"] for each in proxy_server.llm_router.model_list if each["model_name"] == model)
    return any(ident.partition("/")[0] in audit.LOCAL for ident in ids)


def unavailable(model, why, message, told=None):
    """Return the error of a model that is not asked; it tells the audit why.

    told: what a probe of its server came to. A client would ask ten times more, but no certificate mends itself.
    """
    kind = BadRequestError if str(told).startswith("certificate") else ServiceUnavailableError
    error = kind(message, llm_provider="", model=model)
    error.signalbox_class = why
    return error


def retry_after(error):
    """Return for how many seconds a cloud wants to be left alone; None where it does not say."""
    headers = getattr(error, "litellm_response_headers", None) or {}
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        asked = float(headers.get("retry-after"))
        return min(max(asked, 1.0), LONGEST_REST) if asked == asked else None  # not NaN
    return None


def too_little(tokens, info):
    """Return what is to be said of a model that is loaded with less than Claude Code needs; None: nothing."""
    if tokens.get(info["id"]) is None:
        return None
    said = context.verdicts(tokens[info["id"]], info["reading"])
    return next((words for grave, words in said if grave == "refused"), None)


plugin = Failover()
