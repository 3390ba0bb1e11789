from fastapi import FastAPI
from litellm.router import Router

# LiteLLM 1.108.10: litellm/proxy/proxy_server.py
app: FastAPI
llm_router: Router | None  # None while LiteLLM reads its configuration
