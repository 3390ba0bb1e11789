"""`signalbox adopt`: a host that was set up by hand, by the guide, becomes one of this project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from signalbox.console import Failure, note, working
from signalbox.init import adopted_settings, existing_host, project
from signalbox.init.apply import apply
from signalbox.init.directory import placed
from signalbox.init.host import KeyRefusedError, login
from signalbox.init.options import interview, options
from signalbox.init.question import Known, WrongAnswerError
from signalbox.init.questions import host, network
from signalbox.init.questions import project as about_project

_STATE = Path(".signalbox/adopt.json")
_ASKED = (*host.QUESTIONS, *network.QUESTIONS, *about_project.QUESTIONS)


@click.command()
@click.option("--user", default="claude", show_default=True, metavar="NAME", help="The guide's service user there.")
@options(_ASKED)
def adopt(
    user: str,
    answers: Path | None,
    directory: Path | None,
    wheel: Path | None,
    afresh: bool,
    group: str | None,
    yes: bool,
    deploy: bool | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Take over a host that was set up by hand, by the first guide or its installer.

    Its model server, clouds and deployments become settings, its keys go into the encrypted secrets file; on the host
    nothing is changed. The plan tells what a deploy would: what it replaces is kept, the guide's container is stopped
    and kept, its functions go from the shell files, which are kept as *.before-signalbox, and its file of keys to where
    root alone reads it. `signalbox remove` gives back.

    Options, answers file and exit status are those of `signalbox init`.
    """
    asks = not (yes or as_json)
    place = placed(directory, wheel, answers, asks=asks)
    known, asked, kept = interview(_ASKED, place.root / _STATE, place.answers, given, asks=asks, afresh=afresh)
    try:
        with working("Looking at what is there by hand"):
            found = _looked(known, user)
            taken = adopted_settings.taken(
                found, replace(project.reached(known), name=user), adopted_settings.local(found)
            )
    except (existing_host.ByHandError, WrongAnswerError) as error:
        raise Failure(str(error)) from None
    except KeyRefusedError:
        raise Failure("the host does not take the key any more; run this again") from None
    for line in adopted_settings.lines(taken, found):
        note(line)
    keys = {**taken.secrets, **known.secrets}
    apply(place, taken.wishes, keys, kept, asks=asks, asked=asked, group=group, deploy=deploy, as_json=as_json)


def _looked(known: Known, user: str) -> existing_host.Found:
    sudo = known.machine.sudo if known.machine else "root"
    with login(host.target(known), Path(known.answers["ssh_key"]).expanduser()) as client:
        return existing_host.look(client, user, sudo, known.secrets.get("ADMIN_SUDO"))
