"""Where a model's file comes from: a repository at a commit, a web address, or a file of the host's own."""

from __future__ import annotations

import re
from typing import Annotated

from signalbox.fields.checks import checked, matching
from signalbox.fields.messages import show

_REPOSITORY = re.compile(r"hf:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)@(?P<commit>[^/]+)/(?P<file>[\w./+-]+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_EXAMPLES = '"hf:owner/repository@<commit of 40 digits>/file.gguf", "https://mirror/file.gguf" or "/srv/file.gguf"'


def _source(value: str) -> str:
    path = value.partition("?")[0]
    if path != value or not path.endswith(".gguf"):
        raise ValueError(f"{show(value)} is no GGUF file; write {_EXAMPLES}")
    if _SHARD.search(path):
        raise ValueError(f"{show(value)} is one of several files of a model; use one that is whole")
    if ".." in path.split("/"):
        raise ValueError(f"{show(value)} leads upwards; write {_EXAMPLES}")
    if value.startswith("hf:"):
        found = _REPOSITORY.fullmatch(value)
        if not found:
            raise ValueError(f"{show(value)} names no file of a repository; write {_EXAMPLES}")
        if not _COMMIT.fullmatch(found["commit"]):
            raise ValueError(f"{show(found['commit'])} is no commit, and a branch or tag moves; write its 40 digits")
    elif not re.fullmatch(r"(https?://[\w.-]+(:\d+)?)?(/[\w.+@~%-]+)+", value, re.ASCII):
        raise ValueError(f"{show(value)} is neither an address nor a path; write {_EXAMPLES}")
    return value


def download(source: str, huggingface: str) -> str | None:
    """Return the address of a model's file; None: it is the host's own. `huggingface`: base URL of its mirror."""
    if found := _REPOSITORY.fullmatch(source):
        return f"{huggingface}/{found['owner']}/{found['name']}/resolve/{found['commit']}/{found['file']}"
    return None if source.startswith("/") else source


ModelSource = Annotated[str, checked(_source)]
Build = Annotated[str, matching(r"b[1-9]\d{3,6}", "a build of llama.cpp", 'one such as "b11549"')]
