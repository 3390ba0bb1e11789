"""What a host would fetch from the internet, served on the lab's bridge: mise, Node and the gateway's image.

`start(bind, state)`, `settings(bind, state)`, `stop(state)`; the first start builds the content into the cache.
By hand: `python -m tests.lab.mirror --help`.
"""

from __future__ import annotations

import json
import runpy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.base import ca_files
from tests.lab.instance import locked
from tests.lab.machine import LabError, write
from tests.lab.mirror import archives, certificates, claude_code, image, registry, servers
from tests.lab.mirror.clients import REPOSITORY, npm_registry
from tests.lab.mirror.packing import cached, remove


@dataclass(frozen=True)
class Content:
    """What the mirror holds: versions, and directories of the cache."""

    versions: dict[str, str]
    mise: Path
    node: Path
    claude_code: Path
    litellm: Path

    @property
    def digest(self) -> str:
        """The digest of the image's manifest, "sha256:…"."""
        return (self.litellm / "digest").read_text()


def build() -> Content:
    """Build what the cache does not hold, side by side (about a minute on two cores), and return where it is."""
    pins = runpy.run_path(str(REPOSITORY / "group_data/all.py"))["pins"]
    # The versions that Signalbox installs by default; LiteLLM's is decided by what PyPI has.
    versions = {name: pins[name]["version"] for name in ("mise", "node", "claude_code")} | {"litellm": image.VERSION}
    recipes = {
        "mise": (archives, archives.mise),
        "node": (archives, archives.node),
        "claude_code": (claude_code, claude_code.resolve),
        "litellm": (image, registry.stored),
    }
    with ThreadPoolExecutor(len(recipes)) as pool:
        parts = {name: pool.submit(cached, name, versions[name], *recipe) for name, recipe in recipes.items()}
        return Content(versions, **{name: part.result() for name, part in parts.items()})


def start(bind: str, state: Path) -> None:
    """Serve the mirror on the IPv4 address `bind` only, by processes that outlive this one; return when they answer.

    Builds what is missing. Doing it again changes nothing, or restarts what serves something else by now.
    `state` is a directory for the lab's authority, the processes' records and their logs. LabError when it cannot be.
    """
    registry.executable()
    content = build()
    state.mkdir(parents=True, exist_ok=True)
    with locked("mirror-servers"):
        certificates.ensure(state, bind)
        tree = state / "www"
        tree.mkdir(exist_ok=True)
        for name in ("mise", "node"):
            remove(tree / name)
            (tree / name).symlink_to(getattr(content, name))
        try:
            servers.files(bind, state, tree)
            servers.images(bind, state, content.litellm / "registry")
            write(state / "settings.json", json.dumps(_settings(bind, state, content), indent=1))
        except BaseException:
            servers.stop(state)  # both or none
            raise


def stop(state: Path) -> None:
    """End the processes that `start` recorded in `state`; none is no error."""
    servers.stop(state)


def settings(bind: str, state: Path) -> dict[str, Any]:
    """Return the settings, as literals, with which hosts use this mirror; the sections of group_data/all.py.

    They are those of the last `start`: what is served, whatever the cache has got since.
    """
    try:
        found: dict[str, Any] = json.loads((state / "settings.json").read_text())
    except FileNotFoundError:
        raise LabError(f"no mirror was started on {bind} ({state}): `python -m tests.lab up NAME` starts one") from None
    return found


def _settings(bind: str, state: Path, content: Content) -> dict[str, Any]:
    mirrors = {
        "mise": f"http://{bind}:{servers.FILES_PORT}/mise",
        "node": f"http://{bind}:{servers.FILES_PORT}/node",
        "litellm": f"{bind}:{servers.REGISTRY_PORT}/{registry.NAME}",
    }
    if npm := npm_registry():
        mirrors["npm"] = npm
    versions = content.versions
    return {
        "mirrors": mirrors,
        "extra_ca_certificates": [str(path) for path in ((state / "ca.crt").absolute(), *ca_files())],
        "pins": {
            "mise": {
                "version": versions["mise"],
                "sha256": {"amd64": archives.checksum(content.mise, versions["mise"])},
            },
            "node": {
                "version": versions["node"],
                "sha256": {"amd64": archives.checksum(content.node, versions["node"])},
            },
            "claude_code": {
                "version": versions["claude_code"],
                "integrity": claude_code.integrity(content.claude_code),
            },
            "litellm": {"version": versions["litellm"], "digest": content.digest},
        },
    }
