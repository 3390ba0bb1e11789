"""Tools below /usr/local/lib, and what a person has installed into them."""

from __future__ import annotations

from signalbox.settings.account import Account
from signalbox.shell import Script, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import (
    owned,
)


def tool_gone(entry: Entry) -> Script:
    tool, _, account = entry.id.partition(" of ")
    if not account:
        return sh("rm -rf --one-file-system /usr/local/lib/signalbox/{}-*", tool)
    share = f"{Account.named(account).home}/.local/share"
    version = entry.hash.partition(" ")[0]
    if tool == "node":
        node = f"{share}/mise/installs/node"
        each = sh("{}/{}", node, version or Script("*"))
        gone = sh(
            'for d in {}; do if [ -z "$({})" ]; then rm -rf --one-file-system $d; else {}; fi; done',
            each,
            npm_has(sh("$d")),
            NO_NODE,
        )
    else:
        gone = sh("rm -rf --one-file-system {}/signalbox/{}-*", share, tool)
    return sh("{{ {}; }}", owned(f"{share}/", gone))


def npm_has(directory: Script) -> Script:
    """Return shell that prints which packages npm has installed below a Node's directory, beside Node's own."""
    return sh(
        "for p in {d}/lib/node_modules/* {d}/lib/node_modules/@*/*; do"
        " case ${{p##*/}} in npm|corepack|@*|'*') ;; *) [ ! -e $p ] || echo ${{p#*/lib/node_modules/}};; esac; done",
        d=directory,
    )


# What Node's archive has; what npm -g has installed beside it is the person's.
NO_NODE = sh(
    "rm -rf --one-file-system $d/bin/node $d/bin/npm $d/bin/npx $d/bin/corepack"
    " $d/lib/node_modules/npm $d/lib/node_modules/corepack"
    " $d/include $d/share/doc/node $d/share/man/man1/node.1 $d/CHANGELOG.md $d/LICENSE $d/README.md"
)


def npm_packages(entry: Entry) -> Script:
    """Return shell, for its owner, that prints which packages of npm -g a tool of a user's holds."""
    share = f"{Account.named(entry.id.partition(' of ')[2]).home}/.local/share"
    return npm_has(sh("{}/mise/installs/node/{}", share, entry.hash.partition(" ")[0] or Script("*")))
