"""Which cloud, by which names and with which key."""

from __future__ import annotations

import re
from collections.abc import Callable

from signalbox.fields.urls import Resource, WebUrl
from signalbox.init import clouds
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.questions.network import certificates, mirrored
from signalbox.init.shape import field, one_of, shown, standard_or, yes_or_no
from signalbox.init.to_settings import CLOUDS, accounts
from signalbox.pins import Web
from signalbox.secrets import Secret
from signalbox.settings.layers import defaults

CLAUDES = ("claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5")


def cloud(given: str, known: Known) -> str:
    """A cloud, or none where a local model is."""
    word = one_of(("anthropic", "foundry", "both", "mistral", "none"))(given, known)
    if word == "none" and known.server is None:
        raise WrongAnswerError("without a local model there must be a cloud; write anthropic, foundry, both or mistral")
    return word


def deployment(given: str, _: Known) -> str:
    """A deployment's name in Foundry."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,63}", given):
        raise WrongAnswerError(
            f"{shown(given)} is no deployment's name (letters, digits, - _ .); write one such as claude-sonnet-4-6"
        )
    return given


def api_key(prefix: str, name: str) -> Callable[[str, Known], str]:
    """Return a check of a key's shape; what was given is never repeated."""

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
                record = defaults()["clouds"][account]
                secret, models = known.secrets[record["secret"]], cloud_models(account, known)
                try:
                    clouds.check(record["kind"], cloud_url(account, known), secret, models, web)
                except clouds.KeyRefusedError as error:
                    raise WrongAnswerError(str(error), again=f"{account}_key") from None
                except clouds.NoDeploymentError as error:
                    again = f"foundry_{CLAUDES[models.index(error.model)].split('-')[1]}"
                    raise WrongAnswerError(str(error), again=again) from None
    return word


def cloud_url(account: str, known: Known) -> str:
    """Return where an account's API is, without /v1."""
    if account == "foundry":
        own = known.answers.get("foundry_url", "standard")
        base = f"https://{known.answers['foundry_resource']}.services.ai.azure.com" if own == "standard" else own
        return f"{base}/anthropic"
    return known.answers.get("api_url") or str(defaults()["clouds"][account]["url"])


def cloud_models(account: str, known: Known) -> list[str]:
    """Return the models that an account must have, as it calls them."""
    if account == "foundry":
        return [known.answers[f"foundry_{name.split('-')[1]}"] for name in CLAUDES]
    return list(CLAUDES) if account == "anthropic" else ["mistral-medium-latest"]


def _anthropic(known: Known) -> bool:
    return known.said("cloud", "anthropic", "both")


def _foundry(known: Known) -> bool:
    return known.said("cloud", "foundry", "both")


def _cost(known: Known) -> str:
    if _foundry(known):
        return "Foundry has no free question: one of a few tokens goes to each of your deployments, and is billed."
    return "It is asked for its list of models, which costs nothing."


def _deployment(name: str) -> Question:
    return Question(
        id=f"foundry_{name.split('-')[1]}",
        words=f"Name of your deployment of {name.split('-')[1].capitalize()} in Foundry",
        example=f"our-{name}",
        default=name,
        more="It is in the portal of Azure AI Foundry under Deployments. Keep the model's name in it.",
        check=deployment,
        when=_foundry,
    )


QUESTIONS = (
    Question(
        id="cloud",
        words=f"Cloud for the foreground ({', '.join(CLOUDS)})",
        example="anthropic",
        default="anthropic",
        more="anthropic: the Claude API, billed by token. foundry: Claude in Azure AI Foundry. both: the Claude API, "
        "and Foundry when it fails. mistral: the Mistral API. none: the local model alone.",
        check=cloud,
    ),
    Question(
        id="foundry_resource",
        words="Name of your Foundry resource",
        example="myfoundry, the first label of https://myfoundry.services.ai.azure.com",
        more="In the portal: Keys and Endpoint. Not the long id that begins with /subscriptions.",
        check=field(Resource),
        when=_foundry,
    ),
    *(_deployment(name) for name in CLAUDES),
    Question(
        id="api_url",
        words="Address of the cloud's API",
        example="https://api.anthropic.com",
        default=lambda known: str(
            defaults()["clouds"]["mistral" if known.said("cloud", "mistral") else "anthropic"]["url"]
        ),
        more="A gateway of your company may stand before it.",
        check=field(WebUrl),
        when=lambda known: mirrored(known) and (_anthropic(known) or known.said("cloud", "mistral")),
    ),
    Question(
        id="foundry_url",
        words="Address of Foundry, without /anthropic (`standard`: that of the resource)",
        example="https://foundry-gateway.example.org",
        default="standard",
        more="A gateway of your company may stand before it.",
        check=standard_or(field(WebUrl)),
        when=lambda known: mirrored(known) and _foundry(known),
    ),
    Question(
        id="anthropic_key",
        words="Your Claude API key (not shown)",
        example="sk-ant-api03-…, as its console shows it once",
        more="https://console.anthropic.com, API keys. It is kept in the encrypted secrets file as "
        "ANTHROPIC_DIRECT_KEY, never as ANTHROPIC_API_KEY, which Claude Code itself would bill.",
        check=api_key("sk-ant-", "the Claude API"),
        when=_anthropic,
        secret=lambda _: "ANTHROPIC_DIRECT_KEY",
    ),
    Question(
        id="foundry_key",
        words="Your key of the Foundry resource (not shown)",
        example="KEY 1 of Keys and Endpoint",
        more="In the portal: Keys and Endpoint; either of the two.",
        check=api_key("", "Foundry"),
        when=_foundry,
        secret=lambda _: "FOUNDRY_API_KEY",
    ),
    Question(
        id="mistral_key",
        words="Your Mistral API key (not shown)",
        example="what its console shows once, when the key is made",
        more="https://console.mistral.ai, API keys.",
        check=api_key("", "Mistral"),
        when=lambda known: known.said("cloud", "mistral"),
        secret=lambda _: "MISTRAL_API_KEY",
    ),
    Question(
        id="check_cloud",
        words=lambda known: f"Ask the cloud whether the key works? {_cost(known)}",
        example="y",
        default=lambda known: "n" if _foundry(known) else "y",
        unasked="n",
        check=ask_cloud,
        when=lambda known: not known.said("cloud", "none"),
    ),
)
