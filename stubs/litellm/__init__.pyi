from typing import Any

import httpx

# LiteLLM 1.108.10: litellm/types/utils.py. What else there is of a count comes by name.
class Usage:
    def __init__(
        self,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        total_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        prompt_tokens_details: dict[str, Any] | None = None,
        completion_tokens_details: dict[str, Any] | None = None,
        server_tool_use: dict[str, Any] | None = None,
        cost: float | None = None,
        **params: int,
    ) -> None: ...

# LiteLLM 1.108.10: litellm/cost_calculator.py
def cost_per_token(model: str = "", *, usage_object: Usage | None = None) -> tuple[float, float]: ...

# LiteLLM 1.108.10: litellm/utils.py
def get_max_tokens(model: str) -> int | None: ...
def token_counter(model: str = "", *, text: str | list[str] | None = None) -> int: ...

# LiteLLM 1.108.10: litellm/exceptions.py
class BadRequestError(Exception):
    def __init__(self, message: str, model: str, llm_provider: str, response: httpx.Response | None = None) -> None: ...

class ContextWindowExceededError(BadRequestError): ...

class ServiceUnavailableError(Exception):
    def __init__(self, message: str, llm_provider: str, model: str, response: httpx.Response | None = None) -> None: ...
