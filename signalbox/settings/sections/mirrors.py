"""The section `mirrors`."""

from __future__ import annotations

from signalbox.fields.section import Section
from signalbox.fields.urls import Image, WebUrl


class Mirrors(Section):
    """Base URLs of downloads, without a trailing slash; None: the default of the tool that downloads."""

    debian: WebUrl | None
    debian_security: WebUrl | None
    docker: WebUrl
    mise: WebUrl
    node: WebUrl
    npm: WebUrl | None
    litellm: Image
    llama_cpp: WebUrl
    huggingface: WebUrl
