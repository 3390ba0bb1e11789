from collections.abc import Callable

# LiteLLM 1.108.10: litellm/llms/anthropic/common_utils.py, which transformation.py has in a name of its own
normalize_anthropic_tool_use_id: Callable[[str], str]
