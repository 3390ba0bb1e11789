from collections.abc import Callable
from typing import Any

# LiteLLM 1.108.10: litellm/llms/anthropic/pass_through/adapters/streaming_iterator.py
class _CombinedChunkSplitter:
    _expand: Callable[[Any, Any], Any]  # a method of each splitter, which is given a chunk
