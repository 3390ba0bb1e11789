"""Where downloads come from, and whose certificates are trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from signalbox.fields.urls import Image, WebUrl
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.validators import field, listed, one_of, standard_or
from signalbox.settings.layers import defaults

_MIRRORS = defaults()["mirrors"]


def certificates(known: Known) -> list[str]:
    """Return the text of the CA certificates that were named."""
    return [
        Path(path).expanduser().read_text(encoding="utf-8")
        for path in ca_paths(known.answers.get("ca_certificates", "none"))
    ]


def ca_paths(given: str) -> list[str]:
    """Return the paths of an answer; none for `none`."""
    return [] if given.lower() == "none" else listed(given)


def ca_certificates(given: str, _: Known) -> str:
    """PEM files, or `none`."""
    for path in ca_paths(given):
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise WrongAnswerError(f"{path} cannot be read; write the path of a PEM file, or none") from None
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise WrongAnswerError(f"{path} holds no certificate in PEM; write another, or none")
    return given


def mirrored(known: Known) -> bool:
    return known.said("network", "mirrors")


def _mirrored_debian(known: Known) -> bool:
    return mirrored(known) and not known.said("mirror_debian", "standard")


def _mirror(
    name: str, words: str, check: Callable[[str, Known], str], when: Callable[[Known], bool] = mirrored
) -> Question:
    return Question(
        id=f"mirror_{name}",
        words=words,
        example=str(_MIRRORS[name] or "https://mirror.example.org/" + name),
        default=str(_MIRRORS[name] or "standard"),
        more=f"The setting mirrors.{name}; docs/mirrors.md says what must be there.",
        check=check,
        when=when,
    )


QUESTIONS = (
    Question(
        id="network",
        words="Do downloads and cloud requests go to the internet, or to mirrors of your own? (internet, mirrors)",
        example="internet",
        default="internet",
        more="mirrors: for networks without the internet, and companies with a registry of their own; docs/mirrors.md.",
        check=one_of(("internet", "mirrors")),
    ),
    Question(
        id="ca_certificates",
        words="CA certificates that hosts shall trust too (PEM files, with commas; `none`)",
        example="/usr/local/share/ca-certificates/company.crt",
        default="none",
        more="Those that sign for your mirrors, and for a proxy that looks into TLS.",
        check=ca_certificates,
        when=mirrored,
    ),
    _mirror("debian", "Mirror of Debian (`standard`: what the host uses now)", standard_or(field(WebUrl))),
    _mirror("debian_security", "Mirror of Debian's security updates", field(WebUrl), _mirrored_debian),
    _mirror("mise", "Mirror of mise's releases", field(WebUrl)),
    _mirror("node", "Mirror of Node", field(WebUrl)),
    _mirror("npm", "npm registry (`standard`: what npm itself uses)", standard_or(field(WebUrl))),
    _mirror("litellm", "Image repository of LiteLLM", field(Image)),
)
