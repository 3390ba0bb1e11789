from collections.abc import Callable, Sequence
from typing import Any

from litellm import Usage

# LiteLLM 1.108.10: litellm/litellm_core_utils/streaming_chunk_builder_utils.py
class ChunkProcessor:
    def calculate_usage(
        self,
        chunks: Sequence[Any],
        model: str,
        completion_output: str,
        messages: Sequence[Any] | None = None,
        reasoning_tokens: int | None = None,
        count_prompt_tokens: Callable[[], int] | None = None,
    ) -> Usage: ...
