from typing import Any

# LiteLLM 1.108.10: litellm/router.py
class Router:
    model_list: list[Any]  # entries of config.yaml's model_list, as dictionaries
