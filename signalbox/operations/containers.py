"""Images of a user's rootless Docker."""

from __future__ import annotations

import shlex

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts import UserCommand
from signalbox.operations.commands import Commands
from signalbox.run_as import run_as
from signalbox.statements import differs, want

_HIDDEN = "hidden"


@operation()
def image(account: str, home: str, reference: str) -> Commands:
    """Have the image `reference` (repository@sha256:…) in the rootless Docker of `account`.

    A pull that was cut off leaves no image under its digest, and Docker keeps the layers it has.
    """
    want("image", f"{account}:{reference}")
    found = _find(account, home, reference)
    if found and found != [_HIDDEN]:
        host.noop(f"image {reference} is there")
        return
    differs(f"image of {account}", "not to be seen, because Docker does not run" if found else None, reference)
    yield f"{_record(account, reference)} && {run_as(account, home, _pull(reference))}"


@operation()
def image_ahead(account: str, home: str, reference: str) -> Commands:
    """Have the host begin to pull what `image` asks for later, which then waits for the rest; fails at nothing.

    Docker fetches a layer once, however many ask for it.
    """
    if _find(account, home, reference):
        host.noop(f"image {reference} is there, or Docker is not")
        return
    background = f"systemd-run --user --quiet --collect -E DOCKER_HOST {_pull(reference)}"
    yield f"{_record(account, reference)} && {{ {run_as(account, home, background)} || true; }}"


def _find(account: str, home: str, reference: str) -> list[str]:
    """Return the image's id; [_HIDDEN] where Docker does not run, [] where it has no such image."""
    look = f"docker image inspect --format '{{{{.Id}}}}' {shlex.quote(reference)}"
    script = f"{look} || docker version --format . >/dev/null || echo {_HIDDEN}"
    return list(host.get_fact(UserCommand, user=account, home=home, script=script))


def _record(account: str, reference: str) -> str:
    return manifest.record(manifest.Entry("image", f"{account}:{reference}"))


def _pull(reference: str) -> str:
    return f"docker pull --quiet {shlex.quote(reference)}"
