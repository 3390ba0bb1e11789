"""What a person had where we place something: kept before it is replaced, and given back.

What lies in a home is packed and unpacked by its owner's own rights; root holds the archive and never looks into it.
"""

from __future__ import annotations

import re

from signalbox.shell import Script, all_of, manifest, sh
from signalbox.shell.manifest import ARCHIVED
from signalbox.shell.run_as import as_owner

MAX_MIB = 1024  # of what is kept of one thing
_STAGE = "/run/signalbox-original"


_LONGEST = 16 * 1024 * 1024  # bytes of a file of lines: one that is longer would take minutes to be written anew


def owner_of(path: str) -> str:
    """Return the user with whose rights `path` is written: that of the home it is in, else root."""
    below = re.match(r"/home/([^/]+)/", path)
    return below[1] if below else "root"


def original_of(kind: str, path: str) -> str:
    """Return where `keep` puts what lies at `path`."""
    kept = manifest.original_path(kind, path)
    return kept if owner_of(path) == "root" else f"{kept}{ARCHIVED}"


def edited_of(kind: str, path: str) -> str:
    """Return where `keep` puts what somebody has made of what we had placed at `path`."""
    kept = f"{manifest.original_path(kind, path)}.edited"
    return kept if owner_of(path) == "root" else f"{kept}{ARCHIVED}"


def keep(path: str, kept: str) -> Script:
    """Return root's shell that keeps what lies at `path` as `kept`; an earlier one is numbered."""
    owner = owner_of(path)
    if owner == "root":
        return sh("cp -a -T --backup=numbered {} {}", path, kept)
    directory, _, name = path.rpartition("/")
    # Status 1: somebody wrote into it meanwhile.
    pack = sh("tar -C {} --acls --xattrs --sparse -cf - -- {} || [ $? = 1 ]", directory, f"./{name}")
    # In units of 512 bytes: whoever fills a home does not fill root's disk.
    new = f"{kept}.new"
    return sh(
        "( ulimit -f {size}; {pack} > {new} ) && {whole} < {new} && mv -fT --backup=numbered {new} {kept}",
        size=MAX_MIB * 2048,
        pack=as_owner(owner, pack),
        whole=as_owner(owner, sh("tar -tf - >/dev/null")),
        new=new,
        kept=kept,
    )


def give_back(path: str, kept: str) -> Script:
    """Return root's shell that puts what was `kept` (file, link or directory) back to `path`, as the home's owner."""
    owner = owner_of(path)
    if kept.endswith(ARCHIVED):
        directory, _, name = path.rpartition("/")
        unpack = sh(
            "t=$(mktemp -d {directory}/.signalbox-XXXXXX)"
            " && {{ {{ tar -C $t --acls --xattrs -xpf - && mv -fT $t/{name} {path}"
            " && rmdir $t; }} || {{ rm -rf --one-file-system $t; false; }}; }}",
            directory=directory,
            name=name,
            path=path,
        )
        return sh("if [ -e {kept} ]; then {} < {kept} && rm -f {kept}; fi", as_owner(owner, unpack), kept=kept)
    # As it was kept by earlier versions, or is root's.
    new = f"{path}.signalbox-new"
    place = sh("cp -a -T {} {} && mv -fT {} {}", f"{_STAGE}/original", new, new, path)
    own = sh(" && chown -R -h {} {}", f"{owner}:", f"{_STAGE}/original") if owner != "root" else Script("")
    return sh(
        "if [ -e {kept} ] || [ -L {kept} ]; then rm -rf --one-file-system {stage} && install -d -m 711 {stage}"
        " && cp -a -T {kept} {stage}/original{own} && {{ {place}; }} && rm -rf --one-file-system {stage} {kept}; fi",
        kept=kept,
        stage=_STAGE,
        own=own,
        place=owned(path, place),
    )


def owned(path: str, script: Script) -> Script:
    """Return root's shell that runs `script` as the owner of the home that `path` is in, unless that user is gone."""
    user = owner_of(path)
    # Where the user is gone, so is the reason for care: nobody can lay a link any more.
    if user == "root":
        return script
    return sh("if id -u {} >/dev/null 2>&1; then {}; fi", user, as_owner(user, script))


def is_as_placed(path: str, digest: str) -> Script:
    """Return root's shell that tells by its status whether `path` is a file with this SHA-256."""
    look = sh("dd if={} iflag=nofollow,nonblock bs=64k status=none 2>/dev/null | sha256sum", path)
    # The space: as root, what stands there begins with a parenthesis, and two of them would be arithmetic.
    return sh('[ "$( {} )" = {} ]', as_owner(owner_of(path), look), f"{digest}  -")


def readable(path: str) -> Script:
    """Return shell, for the owner of a person's file, after which there is one to read at `path`, or nothing.

    What cannot be read as a file, such as a pipe or a link to a file of root's, or is longer than any such file, is
    kept beside.
    """
    return sh(
        "{{ {{ [ -f {path} ] && [ -r {path} ] && [ $(stat -Lc %s {path}) -le {most} ]; }}"
        " || {{ [ ! -e {path} ] && [ ! -L {path} ]; }}"
        " || mv -T --backup=numbered {path} {path}.before-signalbox; }}",
        path=path,
        most=_LONGEST,
    )


# First what comes behind the old end, which needs room; whatever fails, the old is put back from memory.
_WRITTEN = r"""
use strict; use warnings; use IO::Handle;
my ($new, $old, $file) = ("", "");
sub whole { my ($from) = @_; local $/; my $all = <$from>; die "$!\n" if $from->error; $all // "" }
sub put {
    sysseek $file, $_[0], 0;
    $! = 0;
    (syswrite($file, $_[1]) // -1) == length $_[1] or die "$ARGV[0]: ", $! || "no room for the whole of it", "\n";
}
open my $from, "<", $ARGV[1] or die "$!\n";
$new = whole($from);
sysopen $file, $ARGV[0], 2 or die "$!\n";
$old = whole($file);
my $size = length $old;
eval {
    put($size, substr $new, $size) if length $new > $size;
    put(0, substr $new, 0, $size);
    truncate $file, length $new or die "$!\n";
    $file->sync or die "$!\n";
} and exit;
my $why = $@;
eval { put(0, $old) };
truncate $file, $size;
die $why;
""".strip()
_IN_PLACE = sh('env -i /usr/bin/perl -e {} "$p" "$p".signalbox-new && rm -f "$p".signalbox-new', _WRITTEN)


def replaced(path: str, edit: Script, check: Script | None = None) -> Script:
    """Return shell, for the owner of a person's file, that puts what `edit` makes of it in its place, or leaves it.

    `edit` reads the file from stdin and writes the new one to stdout; its stdin, if it needs another, is 3. A link is
    followed: the file stays where the person keeps it, with its ACL and whatever else it has beside its content. The
    new one is whole on disk before the old one is gone. A file that has other names (hard links) stays the one that
    they name: it is written into, and the new one lies beside it until that is on disk.
    `check` fails where "$p".signalbox-new is none that may take the place of "$p".
    """
    return all_of(
        sh("p=$(readlink -f {})", path),
        sh(
            '{{ [ -f "$p" ] && [ -w "$p" ] || {{ echo {} >&2; false; }}; }}',
            f"{path} leads to what is no file of {owner_of(path)}'s own; make it a file, and deploy again",
        ),
        sh('umask 077 && rm -rf --one-file-system "$p".signalbox-new && exec 3<&0'),
        sh(
            '{{ {{ cp -a --attributes-only -T "$p" "$p".signalbox-new'
            ' && {{ {edit}; }} < "$p" > "$p".signalbox-new && {check}'
            ' && sync "$p".signalbox-new && if [ "$(stat -c %h "$p")" = 1 ]; then mv -fT "$p".signalbox-new "$p"; else'
            " {in_place}; fi; }}"
            ' || {{ rm -f "$p".signalbox-new; false; }}; }}',
            edit=edit,
            check=check or sh("true"),
            in_place=_IN_PLACE,
        ),
    )


def lines_without(*lines: str) -> Script:
    """Return a filter for `replaced` that leaves out whole lines with these texts.

    Not grep, whose failure may be that nothing was left.
    """
    names = [f"l{number}" for number in range(len(lines))]
    given = [sh("{}={}", name, line) for name, line in zip(names, lines, strict=True)]
    return sh("LC_ALL=C {} awk {}", given, " && ".join(f'$0 "" != ENVIRON["{name}"] ""' for name in names))
