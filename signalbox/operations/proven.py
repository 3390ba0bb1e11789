"""Manifest entries whose hash is worked out on the host, once what was fetched there is proven and placed."""

from __future__ import annotations

import json

from signalbox.shell import Script, manifest, sh


def record_as(kind: str, ident: str, original: str | None, hash_: Script) -> Script:
    """Return shell that records a thing; `hash_` is a word of the shell's, such as one with `"$(…)"` in it."""
    # As `Entry.to_json` writes it, by which the fact of the manifest looks.
    rest = json.dumps({"id": ident, "kind": kind, "original": original}, sort_keys=True)[1:]
    return sh(
        '{make} && printf \'{{"hash": "%s", %s\\n\' {hash} {rest} > {path}.new && mv {path}.new {path}',
        make=manifest.MAKE,
        hash=hash_,
        rest=rest,
        path=manifest.entry_path(kind, ident),
    )
