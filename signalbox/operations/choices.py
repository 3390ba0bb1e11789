"""One key of a JSON file that is a person's own: there where they have chosen nothing, and theirs once they do."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.engine.outcome import warn
from signalbox.facts import FileText, Placed
from signalbox.operations.commands import Commands
from signalbox.shell import all_of, manifest
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import owner_of
from signalbox.shell.removal import choice_made
from signalbox.shell.run_as import as_owner
from signalbox.untrusted import json_of

MAX_BYTES = 256 * 1024  # of such a file


@operation()
def choice(path: str, key: str, number: int) -> Commands:
    """Have this number for `key` in the JSON file `path`, unless the person has another there.

    + path: in a home; its directory exists. Nothing else of the file changes.

    A file that cannot be read is left alone, and told: what it holds is the person's to mend.
    """
    want("choice", path)
    now = host.get_fact(Placed, path=path, kind="choice")
    lines = host.get_fact(FileText, path=path)
    try:
        told = json_of("\n".join(lines) or "{}", max_bytes=MAX_BYTES) if now.type is None or lines else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        warn(f"{path} is no JSON that can be read, so {key} = {number} is not in it; mend it, and deploy again")
        host.noop(f"{path} cannot be read")
        return
    ours = now.entry.hash if now.entry else ""
    there = told.get(key)
    if there == number or (there is not None and f"{key}={there}" != ours):
        host.noop(f"{path} has {key}")
        return
    differs(f"{path}, {key}", there, number)
    entry = Entry("choice", path, f"{key}={number}")
    make = choice_made(path, f"s.update({{{key!r}: {number}}})")
    yield all_of(manifest.record(entry), as_owner(owner_of(path), make))
