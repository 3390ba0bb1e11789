"""Secrets on a host: what the controller hands over, and keys that are made there and never leave it.

A path that ends in `.cred` is encrypted by systemd-creds(1) for that host and that user, under the file's own name;
any other holds the secret as it is, for its owner alone.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts import PlacedState, SecretFiles, SecretState, UserCommand
from signalbox.operations.commands import Commands
from signalbox.operations.files import cleared, prepare
from signalbox.shell import Script, all_of, each_of, fed, manifest, sh
from signalbox.shell.run_as import as_owner, run_as
from signalbox.shell.secret_files import careful_reader, credential_name

_NO_CREDENTIALS = (
    'systemd-creds cannot encrypt here; see `systemctl status systemd-creds.socket`, or write secrets.on_host = "plain"'
)


@operation()
def secret_file(path: str, value: str, account: str, home: str, together: tuple[str, ...] = ()) -> Commands:
    """Have the secret `value` in `path`, readable by `account` alone. It travels over stdin and is never shown.

    + together: paths of all secrets that are placed so, this one among them: one look at the host serves them all.
    """
    want("file", path)
    looked = host.get_fact(SecretFiles, paths=together or (path,), user=account, home=home)
    now = looked.get(path, SecretState())
    if now.holds(value) and now.entry and (now.mode, now.user) == ("600", account):
        host.noop(f"{path} is as wanted")
        return
    _tell(path, now, account, now.holds(value))
    was = PlacedState(type="file" if now.mode else None, entry=now.entry)
    yield fed(all_of(prepare("file", path, was, ""), as_owner(account, _write(path))), value)


@operation()
def generated_key(path: str, account: str, home: str, copy: tuple[str, str, str] | None = None) -> Commands:
    """Have a random key ("sk-" and 48 hexadecimal digits) in `path`, readable by `account` alone. One there stays.

    + copy: path, account and home of its `key_copy`: one look at the host serves both.
    """
    want("file", path)
    found = _look(path, account, home, copy)
    if _is_well(path, "key" in found, "own" in found, "no key that its user alone can read", "a key"):
        host.noop(f"{path} holds a key")
        return
    keep = sh('case "$({} 2>/dev/null)" in sk-?*) chmod 600 {};; *) {};; esac', careful_reader(path), path, _make(path))
    yield all_of(_record(path), as_owner(account, keep))


@operation()
def key_copy(path: str, source: str, account: str, home: str, owner: str, owner_home: str) -> Commands:
    """Have the secret of `source`, which is `owner`'s, in `path` too, readable by `account` alone."""
    want("file", path)
    found = _look(source, owner, owner_home, (path, account, home))
    if _is_well(path, "copy" in found, "copied" in found, "not a private copy", f"a private copy of {source}"):
        host.noop(f"{path} is the same key")
        return
    # In a variable of root's shell, and from there through a pipe: the shell's own printf has no arguments to see.
    copy = sh(
        'k="$({})" && [ -n "$k" ] && printf \'%s\\n\' "$k" | {}',
        run_as(owner, owner_home, careful_reader(source)),
        as_owner(account, _write(path)),
    )
    yield all_of(_record(path), copy)


@operation(is_idempotent=False)
def new_key(path: str, account: str) -> Commands:
    """Have another random key in `path` than before, readable by `account` alone."""
    want("file", path)
    differs(path, "the old key", "a new key")
    yield all_of(_record(path), as_owner(account, _make(path)))


def _look(path: str, account: str, home: str, copy: tuple[str, str, str] | None) -> list[str]:
    """Return "key" for a generated key that is well, "own" where the manifest knows it; "copy", "copied" for its copy.

    Keys are read as their owners, and never printed.
    """
    steps = [
        sh('k="$({})"', run_as(account, home, careful_reader(path))),
        sh('case "$k" in sk-?*) {} && echo key;; esac', _private(path, account)),
        sh("{} && echo own", _listed(path)),
    ]
    if copy:
        theirs = run_as(copy[1], copy[2], careful_reader(copy[0]))
        steps += [
            sh('[ -n "$k" ] && [ "$k" = "$({})" ] && {} && echo copy', theirs, _private(copy[0], copy[1])),
            sh("{} && echo copied", _listed(copy[0])),
        ]
    found: list[str] = host.get_fact(UserCommand, user="root", home="/root", script=each_of(*steps))
    return found


def _listed(path: str) -> Script:
    return sh("[ -e {} ]", manifest.entry_path("file", path))


def _is_well(path: str, well: bool, listed: bool, now: str, wanted: str) -> bool:
    differs(path, wanted if well else now, wanted)
    differs(f"{path}, manifest entry", "as placed" if listed else None, "as placed")
    return well and listed


def _make(path: str) -> Script:
    """Return shell that puts a new random key into `path`, as its owner."""
    return sh(
        "{{ printf 'sk-'; head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; }} | {{ {}; }}", _write(path)
    )


def _write(path: str) -> Script:
    """Return shell that puts what comes over stdin into `path`, whole or not at all, as its owner."""
    new = f"{path}.signalbox-new"
    store = sh("cat > {}", new)
    if path.endswith(".cred"):
        store = sh(
            "{{ systemd-creds --user encrypt --name={} - {} || {{ echo {} >&2; false; }}; }}",
            credential_name(path),
            new,
            _NO_CREDENTIALS,
        )
    return sh("umask 077; {} && {} && mv -fT {} {}", cleared(path), store, new, path)


def _record(path: str) -> Script:
    return manifest.record(manifest.Entry("file", path))


def _private(path: str, account: str) -> Script:
    return sh('[ "$(stat -c {} {})" = {} ]', "%a %U", path, f"600 {account}")


def _tell(path: str, now: SecretState, account: str, same: bool) -> None:
    held = "the secret" if same else "another secret" if now.digest else None
    differs(path, held, "the secret")
    if now.mode:
        differs(f"{path}, mode", now.mode, "600")
        differs(f"{path}, owner", now.user, account)
    differs(f"{path}, manifest entry", "as placed" if now.entry else None, "as placed")
