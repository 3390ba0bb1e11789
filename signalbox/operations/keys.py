"""Keys that are made on the host and never leave it."""

from __future__ import annotations

import shlex

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts import UserCommand
from signalbox.operations.commands import Commands
from signalbox.run_as import as_owner
from signalbox.statements import differs, want


@operation()
def generated_key(path: str, account: str, home: str) -> Commands:
    """Have a random key ("sk-" and 48 hexadecimal digits) in `path`, readable by `account` alone. One there stays."""
    want("file", path)
    # A read-only look as the owner: the key itself is never printed.
    script = f"[ -s {path} ] && [ \"$(stat -c '%a %U' {path})\" = '600 {account}' ] && echo kept"
    if host.get_fact(UserCommand, user=account, home=home, script=script):
        host.noop(f"{path} holds a key")
        return
    differs(path, "no key that its user alone can read", "a key")
    path_ = shlex.quote(path)
    make = f"{{ printf 'sk-'; head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; }} > {path_}.new"
    write = f"umask 077; {{ [ -s {path_} ] || {{ {make} && mv -fT {path_}.new {path_}; }}; }} && chmod 600 {path_}"
    yield f"{manifest.record(manifest.Entry('file', path))} && {as_owner(account, write)}"


@operation()
def key_copy(path: str, source: str, account: str) -> Commands:
    """Have a copy of the key file `source` in `path`, readable by `account` alone."""
    want("file", path)
    script = f"cmp -s {path} {source} && [ \"$(stat -c '%a %U' {path})\" = '600 {account}' ] && echo same"
    if host.get_fact(UserCommand, user="root", home="/root", script=script):
        host.noop(f"{path} is the same key")
        return
    differs(path, "not a private copy", f"a private copy of {source}")
    path_ = shlex.quote(path)
    write = f"umask 077; rm -f {path_}.new && cat > {path_}.new && mv -fT {path_}.new {path_}"
    yield f"{manifest.record(manifest.Entry('file', path))} && cat {shlex.quote(source)} | {as_owner(account, write)}"
