"""Which model a request goes to by the settings' rules, before LiteLLM chooses among those that have it.

A conversation stays where a rule has moved it: its prompt is cached there, and the thoughts in it are that model's. So
it is until another rule moves it on; that fewer tokens are left after a summary moves it back no more.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from typing import Any

from ..shared import route_rules
from ..shared.route_rules import Rule
from . import allow, budget, deployments, fallback_rules
from .request_record import Request

TOLD: dict[str, Any] = json.loads(os.environ.get("SIGNALBOX_RULES", "{}"))
RULES: list[Rule] = TOLD.get("rules", [])
FREE = frozenset(TOLD.get("free", ()))  # models that bill nobody, by all their names
KEPT = 4096  # conversations, the latest
AGENT = "x-claude-code-agent-id"  # a conversation of its own within a session

Conversation = tuple[str, str, str]


class Stays:
    """Where rules have moved conversations to."""

    def __init__(self) -> None:
        self._rules: OrderedDict[Conversation, Rule] = OrderedDict()

    def moved(self, conversation: Conversation, rule: Rule) -> None:
        """Take note of a rule that has moved a conversation."""
        self._rules[conversation] = rule
        self._rules.move_to_end(conversation)
        while len(self._rules) > KEPT:
            self._rules.popitem(last=False)

    def rule_of(self, conversation: Conversation) -> Rule | None:
        """Return the rule by which a conversation is where it is; None: no rule has moved it."""
        return self._rules.get(conversation)


stays = Stays()


def moved(asked: dict[str, Any], request: Request | None) -> dict[str, Any]:
    """Return the request as it goes on: to the model that a rule tells, or as it is."""
    if not RULES or request is None or request.lane is None or not request.asked or asked.get("disable_fallbacks"):
        return asked
    found = route_rules.traits(asked)
    session = request.headers.get("x-claude-code-session-id")
    conversation = (session, request.headers.get(AGENT, ""), request.asked) if session and found.converses else None
    rule = route_rules.first(RULES, request.lane, found)
    if rule is None and conversation:
        rule = stays.rule_of(conversation)
    if rule is None or not may(rule, request):
        return asked
    if conversation:
        stays.moved(conversation, rule)
    request.rule, request.ruled = rule["name"], rule["to"]
    return {**asked, "model": rule["to"]}


def may(rule: Rule, request: Request) -> bool:
    """Return whether a rule may move this request: to what bills in a free model's place as far as a fallback might."""
    asked = str(request.asked)
    if rule["to"] in FREE or asked not in FREE:
        return True
    lane_fallbacks = fallback_rules.rule_of(request)
    if route_rules.waits(lane_fallbacks, asked, rule["to"], FREE) and not allow.allowed(request):
        return False
    several = deployments.of_model(rule["to"])
    return not several or not all(budget.ledger.used_up(each, request.lane, True) for each in several)
