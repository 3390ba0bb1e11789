"""The clouds that are offered: the records of group_data/all.py, each as its kind in backends/ says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.backends import CLOUDS
from signalbox.backends.cloud import CloudKind
from signalbox.settings.layers import defaults

SHIPPED: Mapping[str, Mapping[str, Any]] = defaults()["clouds"]
KINDS: Mapping[str, CloudKind] = {name: CLOUDS[record["kind"]] for name, record in SHIPPED.items()}
WITH_CLAUDES = tuple(name for name, kind in KINDS.items() if kind.serves_claude)
FIRST, *FOLLOWING = WITH_CLAUDES  # who is asked when the first fails
CLAUDES = tuple(SHIPPED[FIRST]["models"])  # those that the shipped lanes ask for
BOTH, NONE = "both", "none"
CHOICES = (*WITH_CLAUDES, BOTH, *(name for name in KINDS if name not in WITH_CLAUDES), NONE)


def accounts(choice: str) -> tuple[str, ...]:
    """Return the records of `clouds` behind an answer of CHOICES, the first that is asked first."""
    return {BOTH: WITH_CLAUDES, NONE: ()}.get(choice, (choice,))


def choice_of(names: list[str]) -> str:
    """Return the answer of CHOICES behind which these records are, or the first of them."""
    return BOTH if set(WITH_CLAUDES) <= set(names) else names[0] if names else NONE


def is_usual(account: str) -> bool:
    """Return whether the shipped settings are for this account, so that lanes and fallbacks need not name it."""
    return bool(SHIPPED[account].get("enabled", True))


def prefix_of(account: str, beside: bool) -> str:
    """Return what stands before the names of an account's models; beside: whether another's are there, too."""
    return f"{account}-" if beside and account in FOLLOWING else ""


def answered(account: str, answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers to an account's own questions, by the ids that its kind gave them."""
    asked = (each.id for each in KINDS[account].questions(CLAUDES))
    return {name: answers[f"{account}_{name}"] for name in asked if f"{account}_{name}" in answers}


def own_address(account: str, answers: Mapping[str, str]) -> str | None:
    """Return the address that was answered for an account's API; None: the usual one."""
    own = KINDS[account].address_question
    url = answers.get(f"{account}_{own.id}" if own else "api_url", "standard")
    return None if url in ("standard", SHIPPED[account].get("url")) else url
