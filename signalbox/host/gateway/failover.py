"""LiteLLM plug-in: which deployments are asked, and which are left out because they failed or are not there.

LiteLLM's own cooldown is off: it forgets why, so that a quota cannot be told from a crash. Whether a local server is
there, and with how much context its models are loaded, is server_watch.py's: one that has less of it than Claude Code
needs is left out like one that is gone. Which model may follow another is fallback_rules.py's.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hooks by these names)

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from litellm import BadRequestError, ContextWindowExceededError, ServiceUnavailableError
from litellm.integrations.custom_logger import CustomLogger

from ..shared import reasons
from ..shared.route_rules import searches
from . import budget, deployments, error_classes, images, prompt_length, request_rewriting, websearch
from .deployments import Deployment, ModelInfo
from .fallback_rules import barred_from, followers
from .request_record import Request, Tried, current, noticed
from .server_watch import ServerWatch

REST = float(os.environ.get("SIGNALBOX_COOLDOWN_SECONDS", "20"))  # for which one that failed is left alone
LONGEST_REST = 600.0  # whatever a cloud's retry-after says
# LiteLLM would drop the tool, and Claude Code take what the model makes up for what was found.
NO_SEARCH = "{} cannot search the web: that is a service of Anthropic's models; ask without WebSearch"
# The beginning as Anthropic has it: Claude Code knows that one, and summarises the conversation.
TOO_LONG = "prompt is too long: about {} tokens > {} of {}, which would cut it without a word"
OF_THE_REQUEST = ("bad_request", "overflow", "cooldown")  # the next request may be another


class Failover(CustomLogger):
    """Filter of deployments; `model_info` says of each what it needs to know (deployments.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = ServerWatch(self._answers_again)
        self._resting: dict[str, tuple[float, str]] = {}  # id: until when (monotonic clock), why

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Deployment],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[Deployment]:
        """Return the deployments to ask. Where there is none, the error makes LiteLLM take the next fallback."""
        self.watch.start()
        if not healthy_deployments:
            return healthy_deployments
        infos = [each["model_info"] for each in healthy_deployments]
        request = current()
        hop = bool((request_kwargs or {}).get("fallback_depth"))
        if hop and request and (barred := barred_from(request, model)):
            raise unavailable(model, *barred)
        lane = request.lane if request else None
        there: list[Deployment] = []
        why: str | None = None
        for deployment, info in zip(healthy_deployments, infos, strict=True):
            rest = self._rest(info)
            if not (len(infos) > 1 or (not hop and any(followers(request, info, rest)))):
                rest = None  # what has nothing after it is asked however it did before
            if rest is None and not await self.watch.answers(info.get("probe_url")):
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
                request.tried.append(Tried(infos[0], why))
            told = self.watch.why(infos) if why == "unreachable" else None
            closer = f" ({reasons.WHY[told]})" if told else ""
            raise unavailable(model, why, f"the server of '{model}' is left out: {why}{closer}", told)
        return there

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> dict[str, Any] | None:
        """Take note of the one deployment that is asked now, and give it a request that it can take."""
        info = info_of(kwargs)
        request = current()
        if request and info.get("id"):
            request.tried.append(Tried(info))
            self.watch.works(info)
        if not info.get("claude") and searches(kwargs):
            if info.get("searches") and (question := websearch.question(kwargs)):
                return question
            noticed("bad_request")
            raise BadRequestError(NO_SEARCH.format(info.get("id")), llm_provider="", model=str(kwargs.get("model")))
        unread = await images.unread(kwargs.get("messages"), info) if info.get("probe_url") else set()
        given = request_rewriting.rewritten(kwargs, info, unread)
        await self._must_fit(given or kwargs, info)
        return given

    async def _must_fit(self, kwargs: dict[str, Any], info: ModelInfo) -> None:
        """Refuse what the server would cut without a word."""
        reading = info.get("reading") or {}
        if not reading.get("on_demand"):
            return
        context_length = reading["context_length"]
        if tokens := await prompt_length.too_long(kwargs, context_length):
            noticed("overflow")
            words = TOO_LONG.format(tokens, context_length, info["id"])
            raise ContextWindowExceededError(words, llm_provider="", model=str(kwargs.get("model")))

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: object,
        fallback_depth: int | None = None,
    ) -> None:
        """Take note of a deployment that failed before its answer began."""
        self._failed(info_of(request_data).get("id"), exception)

    async def log_success_fallback_event(
        self, original_model_group: str, kwargs: dict[str, Any], original_exception: Exception
    ) -> None:
        """Take note of one whose answer broke off before its first word."""
        request = current()
        cause = getattr(original_exception, "original_exception", None)
        broken = [each.info["id"] for each in request.tried if each.why is None] if request else []
        if cause and broken:
            self._failed(broken[0], cause)

    def broke_off(self, ident: str | None, why: str) -> None:
        """Take note of one whose answer ended in an error after its first words: the client will ask again."""
        if ident:
            self._resting[ident] = (time.monotonic() + REST, why)

    def following(self, answered: Sequence[str]) -> list[str]:
        """Return the models that may be asked after those that answered, by their ids; not one that has answered."""
        request = current()
        known = [each["model_info"] for each in deployments.known()]
        answers = [info for ident in answered for info in known if info["id"] == ident]
        tried = [each.info for each in request.tried] if request else []
        may = dict.fromkeys(name for info in (*tried, *answers) for name in followers(request, info, None))
        have = {deployments.split(ident)[1] for ident in answered}
        return [name for name in may if name not in have and not self._spent(name, request)]

    def _spent(self, model: str, request: Request | None) -> bool:
        """Return whether no budget is left for whoever has this model."""
        lane = request.lane if request else None
        several = deployments.of_model(model)
        return bool(several) and all(budget.ledger.used_up(each, lane, True) for each in several)

    def _failed(self, ident: str | None, error: Exception) -> None:
        request = current()
        tries = [each for each in request.tried if each.info["id"] == ident] if request else []
        unseen = ident and images.refused(ident, error_classes.words_of(error))
        told = next((each.why for each in tries if each.why), None)
        why = told or ("bad_request" if unseen else error_classes.error_class(error))
        for each in tries:
            each.why = why
        if ident and why not in OF_THE_REQUEST:
            self.watch.failed(ident)
            asked = retry_after(error) if not deployments.is_local(ident) else None
            self._resting[ident] = (time.monotonic() + (asked or REST), why)

    def _rest(self, info: ModelInfo) -> str | None:
        until, why = self._resting.get(info["id"], (0.0, None))
        return why if time.monotonic() < until else "context" if info["id"] in self.watch.short else None

    def _answers_again(self, info: ModelInfo) -> None:
        if self._rest(info) == "unreachable":
            del self._resting[info["id"]]


def info_of(kwargs: Mapping[str, Any]) -> ModelInfo:
    """Return what is known of the deployment for which these are LiteLLM's arguments; {}: it is none of ours."""
    info: ModelInfo | None = kwargs.get("model_info")
    return info or {}


def unavailable(
    model: str, why: str | None, message: str, told: str | None = None
) -> BadRequestError | ServiceUnavailableError:
    """Return the error of a model that is not asked; it tells the audit why.

    told: what a probe of its server came to. A client would ask ten times more, but no certificate mends itself.
    """
    kind = BadRequestError if str(told).startswith("certificate") else ServiceUnavailableError
    error = kind(message, llm_provider="", model=model)
    error.signalbox_class = why  # type: ignore[union-attr]  # error_classes.py reads it
    return error


def retry_after(error: Exception) -> float | None:
    """Return for how many seconds a cloud wants to be left alone; None where it does not say."""
    headers = getattr(error, "litellm_response_headers", None) or {}
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        asked = float(headers["retry-after"])
        return min(max(asked, 1.0), LONGEST_REST) if asked == asked else None  # not NaN
    return None


plugin = Failover()
