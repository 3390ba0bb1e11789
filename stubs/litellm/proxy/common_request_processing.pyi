from litellm.proxy._types import UserAPIKeyAuth
from litellm.router import Router

# LiteLLM 1.108.10: litellm/proxy/common_request_processing.py
class ProxyBaseLLMRequestProcessing:
    @staticmethod
    def _configured_fallbacks(llm_router: Router, user_api_key_dict: UserAPIKeyAuth) -> list[object] | None: ...
