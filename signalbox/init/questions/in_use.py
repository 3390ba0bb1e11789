"""What else the host is used for, and what of it may go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from signalbox.facts.before import Listener
from signalbox.init.probe_results import Machine
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.validators import listed, shown, split_address, yes_or_no
from signalbox.settings.layers import defaults


def used(known: Known) -> list[Listener]:
    """Return who is reached there by others, beside the sshd that this login came to."""
    _, port = split_address(known.answers.get("host", ""))
    return [each for each in (known.machine.listening if known.machine else ()) if each.port != f"tcp/{port}"]


def reachable(given: str, known: Known) -> str:
    """Those of them that stay reachable: all, none or some, by their ports."""
    there = list(dict.fromkeys(each.port for each in used(known)))
    wanted = given.lower()
    if wanted in ("all", "none"):
        return wanted
    chosen = listed(wanted)
    if others := [each for each in chosen if each not in there]:
        raise WrongAnswerError(f"{shown(others[0])} is none of them; write all, none, or some of {', '.join(there)}")
    return ", ".join(chosen)


def firewall(known: Known) -> dict[str, Any]:
    """Return what the answer makes of the section firewall; {} where nobody was asked."""
    if "reachable" not in known.answers:
        return {}
    there, answer = dict.fromkeys(each.port for each in used(known)), known.answers["reachable"]
    stay = there if answer == "all" else [] if answer == "none" else listed(answer)
    shut = [*defaults()["firewall"]["shut"], *(port for port in there if port not in stay)]
    opened = {"open": {port: ["lan"] for port in stay}} if stay else {}
    return {"firewall": {**opened, "shut": [port for port in dict.fromkeys(shut) if port not in stay]}}


def gives_way(known: Known) -> dict[str, Any]:
    """Return what the answers make of packages and containers that would have to go; {} where nobody was asked."""
    settings: dict[str, Any] = {}
    there = known.machine.giving_way if known.machine else ()
    if known.said("replaces", "y"):
        settings["replaces"] = list(there)
    elif known.said("replaces", "n") and "docker-ce" in there:
        settings["rootless_docker"] = {"source": "docker"}
    if known.said("replaces_root", "y"):
        settings["rootless_docker"] = {**settings.get("rootless_docker", {}), "replaces_root": True}
    return settings


def _may(ident: str, there: Callable[[Machine], tuple[str, ...]], words: str, more: str) -> Question:
    """Return the question whether these things of a person's may go from the host; asked where there are any."""

    def named(known: Known) -> tuple[str, ...]:
        return there(known.machine) if known.machine else ()

    return Question(
        id=ident,
        words=lambda known: words.format(", ".join(named(known))),
        example="yes, no",
        default="no",
        check=yes_or_no,
        when=lambda known: bool(named(known)),
        more=more,
    )


QUESTIONS = (
    Question(
        id="reachable",
        words=lambda known: (
            f"Others reach {', '.join(map(str, used(known)))} there. Which stay reachable from your own networks?"
        ),
        example="all, none, or some, such as tcp/443",
        default="all",
        check=reachable,
        when=lambda known: bool(used(known)),
        more="The firewall lets in nothing that is not named. What stays is written to firewall.open, what is shut to "
        "firewall.shut; both can be changed later.",
    ),
    _may(
        "replaces",
        lambda machine: machine.giving_way,
        "{} would have to go there, as Debian's own packages do not stand beside them. May they?",
        "Yes is written to `replaces`; remove.py installs them again, and what they keep in /var/lib stays. No: "
        "Docker's own packages stay and are used (rootless_docker.source); for others a deploy stops and says so.",
    ),
    _may(
        "replaces_root",
        lambda machine: machine.containers,
        "{} run in root's Docker there, which a deploy switches off. May they be stopped?",
        "Yes is written to rootless_docker.replaces_root; remove.py starts them again. No: a deploy stops before "
        "it changes anything, and says so, until you have moved them.",
    ),
)
