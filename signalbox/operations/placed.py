"""What lies where an operation places something, asked as cheaply as it can be told.

While nothing has changed on a host that is read ahead, one look at all that the manifest names serves every operation.
After that, and where nothing is read ahead, each operation looks at its own paths.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra import host
from pyinfra.context import ctx_host

from signalbox.engine.readahead.patches import once
from signalbox.facts import (
    Directories,
    DirectoryState,
    Manifest,
    ManifestPaths,
    ManifestPathsState,
    ManifestState,
    Placed,
    PlacedEach,
    PlacedState,
    known_placed,
)


def placed(path: str, kind: str) -> PlacedState:
    """Return what lies at `path`, with its entry of this kind in the manifest."""
    return _known(kind, path) or host.get_fact(Placed, path=path, kind=kind)


def placed_each(paths: Iterable[str], kind: str) -> dict[str, PlacedState]:
    """Return what lies at each of the paths; one at which nothing does, and of which nothing is known, is left out."""
    known = {path: state for path in paths if (state := _known(kind, path))}
    unknown = tuple(path for path in paths if path not in known)
    return known | (host.get_fact(PlacedEach, paths=unknown, kind=kind) if unknown else {})


def directories_now(paths: Iterable[str]) -> dict[str, DirectoryState]:
    """Return those of the paths that are directories."""
    looked = {path: _known("directory", path) for path in paths}
    # A link may lead to a directory; that is not seen here.
    known = {path: state for path, state in looked.items() if state and state.type != "link"}
    unknown = tuple(path for path in paths if path not in known)
    return {
        path: DirectoryState(f"{state.user}:{state.group}", state.mode, ours=state.entry is not None)
        for path, state in known.items()
        if state.type == "directory"
    } | (host.get_fact(Directories, paths=unknown) if unknown else {})


def manifest_now() -> ManifestState:
    """Return the host's manifest."""
    looked = _looked()
    return looked.manifest if looked else host.get_fact(Manifest)


def _known(kind: str, path: str) -> PlacedState | None:
    looked = _looked()
    return known_placed(looked, kind, path) if looked else None


def _looked() -> ManifestPathsState | None:
    # What reading ahead keeps outlives this operation, in which `host` stands for the host at hand.
    return once(ctx_host.get(), _look)  # type: ignore[no-untyped-call]


def _look() -> ManifestPathsState:
    return host.get_fact(ManifestPaths)
