from collections.abc import Callable

# LiteLLM 1.108.10: litellm/litellm_core_utils/token_counter.py. It passes model, messages and margins beside.
get_modified_max_tokens: Callable[..., int | None]
