"""Manifest entries whose hash is worked out on the host, once what was fetched there is proven and placed."""

from __future__ import annotations

import json
import shlex

from signalbox import manifest


def record_as(kind: str, ident: str, original: str | None, *words: str) -> str:
    """Return shell that records a thing; the hash is these words, as the shell expands them in double quotes."""
    path = shlex.quote(manifest.entry_path(kind, ident))
    # As `Entry.to_json` writes it, by which the fact of the manifest looks.
    rest = shlex.quote(json.dumps({"id": ident, "kind": kind, "original": original}, sort_keys=True)[1:])
    return (
        f'{manifest.MAKE} && printf \'{{"hash": "%s", %s\\n\' "{" ".join(words)}" {rest} > {path}.new'
        f" && mv {path}.new {path}"
    )
