"""What lies at paths, looked at so that nobody who may change them meanwhile can make root do anything else.

The program runs as root on the host. What is in a user's home is looked at with that user's rights and no more, but by
a process that the user can neither stop nor trace: the real user id stays root's. No link is followed but for a text,
which a person may keep elsewhere and link to; a pipe is not waited for, a device is not read, and what is too large is
not read either.

In Perl, because perl-base is essential in Debian: a machine that has never been deployed to has it, while Python may be
missing there; and because it starts in a fraction of Python's time, which every deploy would pay many times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signalbox.shell import Script, sh
from signalbox.shell.answer import number
from signalbox.shell.manifest import MANIFEST, MAX_BYTES

MAX_HASHED = 16 * 1024 * 1024  # bytes; nothing that we place whole is as large
MAX_TEXT = 128 * 1024  # bytes of a file whose text is wanted
SHAPES = {"at": 9, "hash": 2, "text": 2, "entry": 2}  # its records

# O_RDONLY | O_NONBLOCK | O_NOCTTY on every architecture of Debian 13 but for those that it only ports to; Fcntl, which
# has them too, takes as long to load as perl to start.
_CALM = 0o4000 | 0o400
# Without single quotes, of which each costs five characters where it is quoted.
_PROGRAM = (
    r"""
$^F = 100000;
my ($manifest, $hashed, $text, @asked) = @ARGV;
my ($root, $now, @open) = ($> == 0, "root");
sub show { print join("\0", @_), "\0" }
sub become {
    return 1 if !$root or $_[0] eq $now;
    $now = $_[0];
    $> = 0; $) = "0 0";
    return 1 if $now eq "root";
    my @user = getpwnam $now or return 0;
    $) = "$user[3] $user[3]"; $> = $user[2];
    $> == $user[2] or die;
}
sub at {
    my ($path, $type, @s) = @_;
    show("at", $path, $type, sprintf("%o", $s[2] & 07777), getpwuid($s[4]) // $s[4], getgrgid($s[5]) // $s[5],
        $type eq "l" ? readlink $path : "", -d $path ? "d" : "", $s[7], "$s[1]-$s[10]");
}
sub text {
    my ($path) = @_;
    return unless stat $path and -f _ and sysopen my $file, $path, CALM;
    my @s = stat $file;
    return unless -f _ and $s[7] <= $text;
    sysread $file, my $content, $text;
    show("text", $path, unpack "H*", $content);
}
sub look {
    my ($what, $owner, $path) = @_;
    my $there = become($owner);
    text($path) if $what eq "text" && $there;
    my @s = lstat $path;
    if (!@s) { at($path, "o", (0) x 13) unless $!{ENOENT} || $!{ENOTDIR}; return }
    my $type = -f _ ? "f" : -d _ ? "d" : -l _ ? "l" : "o";
    if ($type eq "f" && $what eq "hash" && sysopen my $file, $path, CALM) {
        my @opened = stat $file;
        push @open, [$file, $path] if "@opened[0, 1]" eq "@s[0, 1]" && $opened[7] <= $hashed;
    }
    at($path, $type, @s);
}
sub hashes {
    become("root");
    while (my @some = splice @open, 0, 200) {
        my %path = map +(fileno($_->[0]) => $_->[1]), @some;
        open my $sums, "-|", "/usr/bin/sha256sum", map "/dev/fd/$_", keys %path or die;
        while (<$sums>) { m{^([0-9a-f]{64})  /dev/fd/(\d+)$} and show("hash", $path{$2}, $1) }
    }
}
sub entries {
    my @found;
    opendir my $directory, $manifest or return;
    for my $name (sort readdir $directory) {
        next unless $name =~ /-[0-9a-f]{8}\z/ and lstat "$manifest/$name" and -f _;
        my $line = "";
        if (open my $file, "<", "$manifest/$name") { sysread $file, $line, MAX_ENTRY; $line =~ s/[\0\n].*//s }
        push @found, [$name, $line];
    }
    return @found;
}
sub owner { $_[0] =~ m{^/home/([^/]+)/} ? $1 : "root" }
if ($asked[0] eq "entries") { show("entry", @$_) for entries() }
elsif ($asked[0] eq "placed") {
    my (%looked, %above);
    for (entries()) {
        show("entry", @$_);
        local $_ = $_->[1];
        my ($hash, $path, $kind) = m{^\{"hash": "([^"\\]*)", "id": "(/[^"\\]*)", "kind": "([a-z]+)"} or next;
        next unless $kind =~ /^(file|link|mode|directory)$/;
        next unless $kind eq "directory" xor length $hash;
        look($kind eq "file" ? "hash" : "stat", owner($path), $path);
        $looked{$path} = 1;
        $above{$1} = 1 if $path =~ m{^(/.+)/};
        hashes() if @open > 200;
    }
    look("stat", owner($_), $_) for grep !$looked{$_}, keys %above;
}
else { while (my @one = splice @asked, 0, 3) { look(@one) } }
hashes();
""".replace("MAX_ENTRY", str(MAX_BYTES))
    .replace("CALM", str(_CALM))
    .strip()
)


def _run(*asked: str) -> Script:
    words = (MANIFEST, str(MAX_HASHED), str(MAX_TEXT), *asked)
    # From these, perl takes code. One that fails has not told that nothing is there.
    return sh(
        "unset PERL5OPT PERL5LIB PERLLIB PERL5DB; {{ /usr/bin/perl -e {} {} || printf 'failed\\0'; }}",
        _PROGRAM,
        words,
    )


@dataclass(frozen=True)
class Look:
    """What to look at. what: "hash", "text" or "stat". owner: with whose rights. path: a Script may stand for it."""

    what: str
    owner: str
    path: str


def looks(wanted: Iterable[Look]) -> Script:
    """Return shell that prints records of these paths: `at` of each that is there, and its `hash` or `text`."""
    words = [word for each in wanted for word in (each.what, each.owner, each.path)]
    return _run(*words) if words else Script("true")


def manifest_entries() -> Script:
    """Return shell that prints an `entry` record (its file's name, its line) for each entry of the manifest."""
    return _run("entries")


def manifest_paths() -> Script:
    """Return shell that prints what `manifest_entries` does and, as `looks` does, what is at their paths and above."""
    return _run("placed")


@dataclass(frozen=True)
class Found:
    """What lies at a path. type: file, directory, link or other. mode: octal digits. size: bytes.

    leads: whether it is a directory, or a link that leads to one. identity: inode and change time (s).
    """

    path: str
    type: str
    mode: str
    user: str
    group: str
    target: str
    leads: bool
    size: int
    identity: str


_TYPES = {"f": "file", "d": "directory", "l": "link"}


def found(record: tuple[str, ...]) -> Found:
    """Return what an `at` record tells."""
    _, path, letter, mode, user, group, target, leads, size, identity = record
    return Found(path, _TYPES.get(letter, "other"), mode, user, group, target, leads == "d", number(size), identity)
