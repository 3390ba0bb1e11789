"""Which cloud, by which names and with which key."""

from __future__ import annotations

import re
from collections.abc import Callable

from signalbox.backends.kind import Asked
from signalbox.backends.records import Cloud
from signalbox.fields.urls import WebUrl
from signalbox.init import cloud_check
from signalbox.init.clouds import (
    BOTH,
    CHOICES,
    CLAUDES,
    FIRST,
    FOLLOWING,
    KINDS,
    NONE,
    SHIPPED,
    accounts,
    answered,
    own_address,
)
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.questions.network import certificates, mirrored
from signalbox.init.validators import field, one_of, standard_or, yes_or_no
from signalbox.pins import Web
from signalbox.secrets import Secret


def cloud(given: str, known: Known) -> str:
    """A cloud, or none where a local model is."""
    word = one_of(CHOICES)(given, known)
    if word == NONE and known.server is None:
        *first, last = CHOICES[:-1]
        raise WrongAnswerError(f"without a local model there must be a cloud; write {', '.join(first)} or {last}")
    return word


def api_key(account: str) -> Callable[[str, Known], str]:
    """Return a check of the shape of an account's key; what was given is never repeated."""
    prefix, name = KINDS[account].key_prefix, KINDS[account].called

    def check(given: str, _: Known) -> str:
        if problem := Secret(given).problem():
            raise WrongAnswerError(f"the key {problem}; copy it again")
        if re.search(r"\s", given) or not given.isascii() or len(given) < 16:
            raise WrongAnswerError(f"this is no key of {name} ({len(given)} characters); copy it again, whole")
        if not given.startswith(prefix):
            raise WrongAnswerError(
                f"a key of {name} begins with {prefix}, and this does not; copy it again from its console"
            )
        return ""

    return check


def ask_cloud(given: str, known: Known) -> str:
    """Ask each cloud whether its key works, after a yes; what it refuses is asked for again."""
    word = yes_or_no(given, known)
    if word == "y":
        with Web(certificates(known)) as web:
            for account in accounts(known.answers["cloud"]):
                secret, models = known.secrets[SHIPPED[account]["secret"]], cloud_models(account, known)
                try:
                    cloud_check.check(KINDS[account], cloud_url(account, known), secret, models, web)
                except cloud_check.KeyRefusedError as error:
                    raise WrongAnswerError(str(error), again=f"{account}_key") from None
                except cloud_check.NoDeploymentError as error:
                    wrong = next(name for name, each in answered(account, known.answers).items() if each == error.model)
                    raise WrongAnswerError(str(error), again=f"{account}_{wrong}") from None
    return word


def cloud_url(account: str, known: Known) -> str:
    """Return where an account's API is, without /v1."""
    kind, own = KINDS[account], own_address(account, known.answers)
    record = {**SHIPPED[account], **kind.settings(answered(account, known.answers), CLAUDES, "")}
    record |= kind.at(own) if own else {}
    return kind.base(Cloud.model_construct(url=record.get("url"), resource=record.get("resource")))


def cloud_models(account: str, known: Known) -> list[str]:
    """Return the models that an account must have, as it calls them."""
    made = KINDS[account].settings(answered(account, known.answers), CLAUDES, "")
    return [model["id"] for model in made.get("models", SHIPPED[account]["models"]).values()]


def _chosen(*names: str) -> Callable[[Known], bool]:
    """Return whether one of these accounts is behind the answer."""
    return lambda known: not {*names}.isdisjoint(accounts(known.answers.get("cloud", NONE)))


def _and_mirrored(chosen: Callable[[Known], bool]) -> Callable[[Known], bool]:
    return lambda known: mirrored(known) and chosen(known)


def _first_with_url(known: Known) -> str:
    """Return the account that shares the question of the API's address."""
    return next((name for name in accounts(known.answers.get("cloud", NONE)) if name in _WITH_URL), FIRST)


def _costs(known: Known) -> str:
    return " ".join(KINDS[name].check_costs for name in accounts(known.answers["cloud"]) if KINDS[name].check_costs)


def _offers() -> str:
    """Return what each choice is, in words."""
    following = " and ".join(KINDS[name].called for name in FOLLOWING)
    offers = {name: kind.offer for name, kind in KINDS.items()}
    offers |= {BOTH: f"{KINDS[FIRST].called}, and {following} when it fails", NONE: "the local model alone"}
    return " ".join(f"{choice}: {offers[choice]}." for choice in CHOICES)


def _question(account: str, asked: Asked, when: Callable[[Known], bool]) -> Question:
    check = field(asked.value)
    return Question(
        id=f"{account}_{asked.id}",
        words=asked.words,
        example=asked.example,
        default=asked.default,
        more=asked.more,
        check=standard_or(check) if asked.standard else check,
        when=when,
    )


def _key_question(account: str, asked: Asked) -> Question:
    return Question(
        id=f"{account}_{asked.id}",
        words=asked.words,
        example=asked.example,
        more=asked.more,
        check=api_key(account),
        when=_chosen(account),
        secret=lambda _: str(SHIPPED[account]["secret"]),
    )


_WITH_URL = [name for name, kind in KINDS.items() if kind.address_question is None]

QUESTIONS = (
    Question(
        id="cloud",
        words=f"Cloud for the foreground ({', '.join(CHOICES)})",
        example=FIRST,
        default=FIRST,
        more=_offers(),
        check=cloud,
    ),
    *(_question(name, asked, _chosen(name)) for name, kind in KINDS.items() for asked in kind.questions(CLAUDES)),
    Question(
        id="api_url",
        words="Address of the cloud's API",
        example=KINDS[FIRST].usual,
        default=lambda known: str(SHIPPED[_first_with_url(known)]["url"]),
        more="A gateway of your company may stand before it.",
        check=field(WebUrl),
        when=_and_mirrored(_chosen(*_WITH_URL)),
    ),
    *(
        _question(name, kind.address_question, _and_mirrored(_chosen(name)))
        for name, kind in KINDS.items()
        if kind.address_question
    ),
    *(_key_question(name, kind.key_question) for name, kind in KINDS.items()),
    Question(
        id="check_cloud",
        words=lambda known: (
            "Ask the cloud whether the key works? "
            + (_costs(known) or "It is asked for its list of models, which costs nothing.")
        ),
        example="y",
        default=lambda known: "n" if _costs(known) else "y",
        unasked="n",
        check=ask_cloud,
        when=lambda known: not known.said("cloud", NONE),
    ),
)
