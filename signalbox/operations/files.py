"""Files, directories and links: placed atomically, recorded first, what they replace kept."""

from __future__ import annotations

import hashlib

from pyinfra import host, state
from pyinfra.api import StringCommand, operation
from pyinfra.operations.util.files import generate_color_diff

from signalbox.engine.changes import differs, renews, want
from signalbox.facts import FileText, FirstLine, Placed, PlacedState
from signalbox.operations.commands import Commands
from signalbox.operations.placed import directories_now, placed, placed_each
from signalbox.shell import Script, all_of, fed, manifest, sh
from signalbox.shell.originals import edited_of, keep, lines_without, original_of, readable, replaced
from signalbox.shell.removal import removal
from signalbox.shell.run_as import as_owner


def sha256(content: str) -> str:
    """Return the SHA-256 of `content` as it lands on the host (UTF-8), in hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def prepare(kind: str, path: str, now: PlacedState, digest: str) -> Script:
    """Return shell that keeps what a person left at `path`, then records what is about to be placed."""
    original = now.entry.original if now.entry else None
    steps = [manifest.MAKE]
    if now.entry is None and now.type is not None:
        original = original_of(kind, path)
        steps.append(keep(path, original))
    elif now.entry and _is_edited(now, now.entry):
        steps.append(keep(path, edited_of(kind, path)))
    return all_of(*steps, manifest.record(manifest.Entry(kind=kind, id=path, hash=digest, original=original)))


def _is_edited(now: PlacedState, entry: manifest.Entry) -> bool:
    """Return whether somebody has made something else of what we had placed; a secret's file is never copied."""
    if not entry.hash or entry.kind not in ("file", "link"):
        return False
    is_ours = (now.type, now.sha256 if entry.kind == "file" else now.target) == (entry.kind, entry.hash)
    return now.type in ("file", "link") and not is_ours


def cleared(path: str) -> Script:
    """Return shell, for the owner, that makes way at `path`: a directory in it stays beside, under another name."""
    return sh(
        "{{ [ ! -d {path} ] || [ -L {path} ] || mv -T --backup=numbered {path} {path}.before-signalbox; }}"
        " && rm -rf --one-file-system {path}.signalbox-new",
        path=path,
    )


@operation()
def file(
    path: str,
    content: str,
    mode: str = "644",
    user: str = "root",
    group: str | None = None,
    secret: bool = False,
) -> Commands:
    """Have exactly `content` in the file `path`.

    + path: absolute path; its directory exists.
    + content: text; it ends in a newline (that is how it travels).
    + mode: octal digits. user, group: owner; group None: the user's own group name.
    + secret: True: its content and difference are never shown. It travels over stdin in any case.
    """
    now = placed(path, "file")
    commands = _place(path, content, mode, user, group or user, now, secret)
    if commands:
        yield from commands
    else:
        host.noop(f"{path} is as wanted")


@operation()
def files(contents: dict[str, str], modes: dict[str, str] | None = None) -> Commands:
    """Have exactly these contents, by absolute path, in files of root's: what belongs together, as one operation.

    + contents: texts; each ends in a newline.
    + modes: octal digits by path, "644" where there is none.
    """
    now = placed_each(contents, "file")
    commands = []  # all before the first is given: a plan looks no further, and it must name every file
    for path, content in contents.items():
        found = now.get(path, PlacedState())
        commands += _place(path, content, (modes or {}).get(path, "644"), "root", "root", found)
    if commands:
        yield from commands
    else:
        host.noop(f"{len(contents)} files are as wanted")


def _place(
    path: str, content: str, mode: str, user: str, group: str, now: PlacedState, secret: bool = False
) -> list[StringCommand]:
    """Return what makes the file as wanted, nothing where it is; say what differs."""
    if not content.endswith("\n"):
        raise ValueError(f"{path}: content must end in a newline")
    digest = sha256(content)
    want("file", path)
    right = (now.type, now.sha256, now.mode, now.user, now.group) == ("file", digest, mode, user, group)
    if right and now.entry and now.entry.hash == digest:
        return []
    renews(path)
    _tell(path, now, mode, f"{user}:{group}")
    if now.type == "file" and now.sha256 != digest:
        differs(f"{path}, content", "other", "as set")
    elif right:
        differs(f"{path}, manifest entry", _entry(now, digest), "as placed")
    if state.config.DIFF and not secret and not right:
        _show_difference(path, content, now)
    write = sh(
        "umask 077; {cleared} && {{ {{ cat > {new} && chgrp {group} {new} && chmod {mode} {new}"
        " && mv -fT {new} {path}; }}"
        # On a full disk half a file would stay, and keep it full.
        " || {{ rm -f {new}; false; }}; }}",
        cleared=cleared(path),
        new=f"{path}.signalbox-new",
        group=group,
        mode=mode,
        path=path,
    )
    return [fed(all_of(prepare("file", path, now, digest), as_owner(user, write)), content)]


def _entry(now: PlacedState, digest: str) -> str | None:
    """Return what the manifest says of a thing: as placed, other, or nothing."""
    return None if now.entry is None else "as placed" if now.entry.hash == digest else "other"


def _tell(path: str, now: PlacedState, mode: str, owner: str) -> None:
    differs(path, now.type, "file")
    if now.type == "file":
        differs(f"{path}, mode", now.mode, mode)
        differs(f"{path}, owner", f"{now.user}:{now.group}", owner)


def _show_difference(path: str, content: str, now: PlacedState) -> None:
    current = host.get_fact(FileText, path=path) if now.type == "file" else []
    host.log(f"difference of {path}:")
    for line in generate_color_diff([f"{line}\n" for line in current or []], content.splitlines(keepends=True)):
        host.log(f"  {line}")


@operation()
def directories(paths: list[str], mode: str = "755", user: str = "root", group: str | None = None) -> Commands:
    """Have these directories, parents before children, with this owner and, where we made them, this mode (octal).

    A directory that was there before keeps its mode and is not recorded: it is not ours to take away.
    """
    owner = f"{user}:{group or user}"
    now = directories_now(paths)
    commands = []
    for path in paths:
        want("directory", path)
        state = now.get(path)
        if state is None:
            differs(path, None, "directory")
            commands.append(manifest.record(manifest.Entry("directory", path)))
            # What is no directory there makes way, and is kept beside: a person's link that leads nowhere, too.
            made = sh(
                "{{ {{ [ ! -e {path} ] && [ ! -L {path} ]; }}"
                " || mv -T --backup=numbered {path} {path}.before-signalbox; }}"
                " && mkdir -m {mode} {path} && chgrp {group} {path}",
                path=path,
                mode=mode,
                group=group or user,
            )
            commands.append(as_owner(user, made))
            continue
        differs(f"{path}, owner", state.owner, owner)
        differs(f"{path}, mode", state.mode, mode if state.ours else state.mode)
        if state.owner != owner and user == "root":
            commands.append(sh("chown {} {}", owner, path))
        elif state.owner != owner:
            message = f"{path} belongs to {state.owner}; give it back, or move it away: chown {owner} {path}"
            commands.append(sh("{{ echo {} >&2; false; }}", message))
        if state.ours and state.mode != mode:
            commands.append(as_owner(user, sh("chmod {} {}", mode, path)))
    if commands:
        yield all_of(*commands)
    else:
        host.noop(f"{', '.join(paths)}: as wanted")


@operation()
def handed_directory(path: str, mode: str, user: str, group: str) -> Commands:
    """Have the directory `path`, in a place of root's, belong to `user` and `group`, with this mode (octal digits)."""
    now = directories_now([path]).get(path)
    want("directory", path)
    if now and now.ours and (now.owner, now.mode) == (f"{user}:{group}", mode):
        host.noop(f"{path} is as wanted")
        return
    differs(path, "directory" if now else None, "directory")
    if now and not now.ours:
        differs(f"{path}, manifest entry", None, "as placed")
    differs(f"{path}, owner", now.owner if now else None, f"{user}:{group}")
    differs(f"{path}, mode", now.mode if now else None, mode)
    # With what an earlier owner left in it; in this order: chown takes the bit that hands the group on.
    make = sh("mkdir -p {path} && chown -hR {owner} {path}", path=path, owner=f"{user}:{group}")
    yield all_of(manifest.record(manifest.Entry("directory", path)), make, sh("chmod {} {}", mode, path))


@operation()
def link(path: str, target: str, user: str = "root") -> Commands:
    """Have the symbolic link `path` point to `target`, owned by `user`."""
    yield from links._inner({path: target}, user)


@operation()
def links(targets: dict[str, str], user: str = "root") -> Commands:
    """Have symbolic links, by absolute path, point to their targets, owned by `user`."""
    now = placed_each(targets, "link")
    commands = []  # all before the first is given, as for files
    for path, target in targets.items():
        commands += _point(path, target, user, now.get(path, PlacedState()))
    if commands:
        yield from commands
    else:
        host.noop(f"{', '.join(targets)}: as wanted")


def _point(path: str, target: str, user: str, now: PlacedState) -> list[Script]:
    """Return what makes the link as wanted, nothing where it is; say what differs."""
    want("link", path)
    if (now.type, now.target, now.user) == ("link", target, user) and now.entry and now.entry.hash == target:
        return []
    differs(path, f"link to {now.target}" if now.type == "link" else now.type, f"link to {target}")
    differs(f"{path}, owner", now.user or user, user)
    if (now.type, now.target) == ("link", target):
        differs(f"{path}, manifest entry", _entry(now, target), "as placed")
    write = sh(
        "{cleared} && ln -sT {target} {new} && mv -fT {new} {path}",
        cleared=cleared(path),
        target=target,
        new=f"{path}.signalbox-new",
        path=path,
    )
    return [all_of(prepare("link", path, now, target), as_owner(user, write))]


@operation()
def absent(path: str, kind: str = "file") -> Commands:
    """Take away the file or link `path` if Signalbox placed it, and give back what it had replaced."""
    now = placed(path, kind)
    want(kind, path)  # this operation's own to take away
    if now.entry is None:
        host.noop(f"{path} is not ours or not there")
        return
    differs(path, now.type, "its original" if now.entry.original else None)
    yield from removal([now.entry])


@operation()
def first_line(path: str, line: str, user: str) -> Commands:
    """Have `line` as the first line of the file `path`, which is the person's own otherwise."""
    want("line", path)
    if host.get_fact(FirstLine, path=path) == line:
        host.noop(f"{path} starts with our line")
        return
    now = host.get_fact(Placed, path=path, kind="line")
    differs(f"{path}, first line", "other" if now.type else None, "loads our environment")
    # Whoever has nothing there gets a file of that line alone, and keeps the mode of one that is there.
    make = sh("umask 022; {readable} && {{ [ -e {path} ] || : > {path}; }}", readable=readable(path), path=path)
    edit = replaced(path, sh("printf '%s\\n' {} && {{ {}; }}", line, lines_without(line)))
    yield all_of(prepare("line", path, now, line), as_owner(user, all_of(make, edit)))
