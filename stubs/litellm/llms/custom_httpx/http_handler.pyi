import ssl

# LiteLLM 1.108.10: litellm/llms/custom_httpx/http_handler.py
_ssl_context_cache: dict[tuple[str | None, str | None, str | None], ssl.SSLContext]
