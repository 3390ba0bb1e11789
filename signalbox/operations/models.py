"""Files of models: fetched once, resumed where a run was ended, proven before they have their name."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts.cards import STAMP, ModelFiles
from signalbox.operations.commands import Commands
from signalbox.operations.proven import record_as
from signalbox.shell import Script, all_of, manifest, sh

# As tools are; by lines that come and go a download goes on where it was.
_CURL = sh(
    "curl --fail --silent --show-error --location --globoff --netrc-optional --retry 5 --retry-connrefused"
    " --connect-timeout 20 --speed-limit 1000 --speed-time 60"
)
_LEFT_MIB = 1024  # of the disk, beside the model


@operation()
def model_file(path: str, checksum: str, url: str | None, together: tuple[str, ...] = ()) -> Commands:
    """Have the model of this sha256 in the file `path`; proven once, and known again by size, time and inode.

    + url: where it comes from; None: its owner has put it there, and it is proven alone.
    + together: paths of all models, this one among them: one look at the host serves them all.
    """
    want("model", path)
    stamp, known = host.get_fact(ModelFiles, paths=together or (path,)).get(path, ("", ""))
    if stamp and known == f"{checksum} {stamp}":
        host.noop(f"{path} is the model that is wanted")
        return
    differs(path, "not proven" if stamp else None, f"sha256 {checksum[:12]}…")
    known_as = record_as("model", path, None, sh('{}"$(find {} -maxdepth 0 -printf {})"', f"{checksum} ", path, STAMP))
    if url is None:
        yield all_of(_there(path), _proof(path, checksum, gone=False), known_as)
        return
    part = f"{path}.part"
    yield all_of(
        manifest.record(manifest.Entry("model", path)),
        # One that a run has placed and did not live to record is proven, and not fetched again.
        sh(
            "{{ {{ [ -f {path} ] && {right}; }} || {{ {room} && {fetch} && {proof} && chmod 644 {part}"
            " && mv -fT {part} {path}; }}; }}",
            path=path,
            part=part,
            right=_is(path, checksum),
            room=_room(part, url),
            # 33: the server cannot go on in the middle; 416: nothing is left to fetch, which the proof decides.
            fetch=sh(
                "{{ {curl} -C - -o {part} {url} || {{ s=$?; [ $s -eq 33 ] && rm -f {part} && {curl} -o {part} {url}; }}"
                " || {{ [ $s -eq 22 ] && {right}; }}; }}",
                curl=_CURL,
                part=part,
                url=url,
                right=_is(part, checksum),
            ),
            proof=_proof(part, checksum, gone=True),
        ),
        known_as,
    )


@operation()
def models_gone(paths: Sequence[str]) -> Commands:
    """Have none of these files, which an earlier deploy has fetched, nor what is left of a download of one."""
    if not paths:
        host.noop("no model is left that nobody wants")
        return
    for path in paths:
        differs(path, "there", None)
    yield all_of(*(sh("rm -f {} {} && {}", path, f"{path}.part", manifest.forget("model", path)) for path in paths))


def _is(path: str, checksum: str) -> Script:
    return sh("echo {} | sha256sum --check --status 2>/dev/null", f"{checksum}  {path}")


def _there(path: str) -> Script:
    said = f"{path} is no file; put the model there, or write where it comes from (model_server.models.<name>.source)"
    return sh("{{ [ -f {} ] || {{ echo {} >&2; false; }}; }}", path, said)


def _proof(path: str, checksum: str, *, gone: bool) -> Script:
    """Return shell that fails unless the file is the one that is wanted; `gone`: another one is thrown away."""
    said = f"{path}: this is not the model of sha256 {checksum[:12]}…; look who changed it, or correct the checksum"
    away = sh("rm -f {}; ", path) if gone else Script("")
    return sh("{{ {} || {{ {}echo {} >&2; false; }}; }}", _is(path, checksum), away, said)


def _room(part: str, url: str) -> Script:
    """Return shell that fails where the disk has no room for what is still to come; a server may not tell how much."""
    return sh(
        "{{ size=$({curl} -I {url} | tr -d '\\r' | awk {last} || true);"
        " have=$(stat -c %s {part} 2>/dev/null || echo 0);"
        " free=$(df -B1 --output=avail {directory} | tail -n1 | tr -cd 0-9);"
        ' [ -z "$size" ] || [ $((size - have + {left})) -le "$free" ] ||'
        ' {{ echo "the disk has no room for the model: $(((size - have) >> 20)) MiB are to come,'
        ' $((free >> 20)) MiB are free" >&2;'
        " false; }}; }}",
        curl=_CURL,
        url=url,
        last='tolower($1) == "content-length:" { n = $2 } END { print n }',
        part=part,
        directory=part.rpartition("/")[0],
        left=_LEFT_MIB << 20,
    )
