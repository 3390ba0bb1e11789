"""Streams of chat completions as some servers send them, made so that they are one call, and one text, to a client.

A piece of a call that has its id and name again begins another call to LiteLLM, and each is without arguments (vLLM's
parser qwen3_xml, nanocoai/nanoclaw/pull/1241). A thought behind the first words cuts the text in two, of which
`claude -p` prints the second (BerriAI/litellm/issues/33224): it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Expand = Callable[[Any, Any], Any]


class Pieces:
    """What has come of one stream."""

    def __init__(self) -> None:
        self._calls: dict[int, str] = {}  # by its index: the id of the call that is open
        self._spoke = False

    def mended(self, chunk: Any) -> Any:
        """Return a chunk of the stream, changed in place where need be."""
        for choice in getattr(chunk, "choices", None) or ():
            delta = choice.delta
            for call in getattr(delta, "tool_calls", None) or ():
                self._call(call)
            if getattr(delta, "content", None):
                self._spoke = True
            elif self._spoke:
                for name in ("reasoning_content", "thinking_blocks"):
                    if getattr(delta, name, None):
                        setattr(delta, name, None)
        return chunk

    def _call(self, call: Any) -> None:
        if call.id and self._calls.get(call.index) == call.id:
            call.id = None
            if call.function is not None:
                call.function.name = None
        elif call.id:
            self._calls[call.index] = call.id


def around(expand: Expand) -> Expand:
    """Return LiteLLM's `expand`, which is given each chunk of a stream as it came, with the chunk mended before."""

    def mended(stream: Any, chunk: Any) -> Any:
        pieces: Pieces = vars(stream).setdefault("signalbox_pieces", Pieces())
        return expand(stream, pieces.mended(chunk))

    return mended
