"""What mkdocs does not know of docs/: links to files of the repository, which no site has. Loaded by mkdocs.yml."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(((?:\.\./)+[^)\s#]*)(?:#[^)\s]*)?\)")
_DRILL = re.compile(r"\[([^\[\]]*)\]\(((?:[\w.]+/)*([a-z_]+)\.md)\)")
_FOLDER = re.compile(r"\]\(((?:\.\./)*[\w-]+)/\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Leave the words of a link that leads out of docs/, and warn where there is no such file."""
    docs = Path("docs").resolve()
    here = (docs / page.file.src_uri).parent

    def out(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(docs):
            return link[0]
        if not target.exists():
            logging.getLogger("mkdocs.plugins").warning("%s: there is no %s", page.file.src_uri, link[2])
        return link[1]

    def written(link: re.Match[str]) -> str:
        # The page of a drill is there once a run has written it.
        is_drill = (here / link[2]).resolve().parent == docs / "drills" and Path(f"tests/drills/{link[3]}.py").exists()
        return link[1] if is_drill and not (here / link[2]).exists() else link[0]

    markdown = _DRILL.sub(written, markdown)
    return _FOLDER.sub(r"](\1/README.md)", _LINK.sub(out, markdown))
