from collections.abc import Callable
from typing import Any

# LiteLLM 1.108.10: litellm/llms/anthropic/common_utils.py, which utils.py has in a name of its own
sanitize_tool_use_ids_in_anthropic_messages: Callable[[Any], Any]
