"""Images of a user's rootless Docker."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts import UserCommand
from signalbox.operations.commands import Commands
from signalbox.shell import Script, all_of, manifest, sh
from signalbox.shell.run_as import run_as

_HIDDEN = "hidden"


def pull(reference: str) -> Script:
    """Return the command that has Docker fetch an image; one that is already being fetched is waited for."""
    return sh("docker pull --quiet {}", reference)


@operation()
def image(account: str, home: str, reference: str) -> Commands:
    """Have the image `reference` (repository@sha256:…) in the rootless Docker of `account`.

    A pull that was cut off leaves no image under its digest, and Docker keeps the layers it has.
    """
    want("image", f"{account}:{reference}")
    look = sh("docker image inspect --format {} {}", "{{.Id}}", reference)
    script = sh("{} || docker version --format . >/dev/null || echo {}", look, _HIDDEN)
    found = host.get_fact(UserCommand, user=account, home=home, script=script)
    if found and found != [_HIDDEN]:
        host.noop(f"image {reference} is there")
        return
    differs(f"image of {account}", "not to be seen, because Docker does not run" if found else None, reference)
    record = manifest.record(manifest.Entry("image", f"{account}:{reference}"))
    yield all_of(record, run_as(account, home, pull(reference)))
