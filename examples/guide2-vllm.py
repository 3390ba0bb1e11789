"""Guide 2: vLLM behind LiteLLM, and the Claude API for what is hard (`claude-local`, `claude-cloud`).

    vllm serve mistralai/Mistral-Medium-3.5-128B --served-model-name mistral-medium --max-model-len 131072 \
        --enable-auto-tool-choice --tool-call-parser mistral

Secrets: ANTHROPIC_DIRECT_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {"enabled": False},
            "vllm": {
                "kind": "vllm",
                "url": "http://<VLLM_IP>:8000",
                "models": {
                    "local": {
                        "id": "mistral-medium",  # the --served-model-name
                        "aliases": ["mistral-medium"],
                        "context_length": 131072,
                        "max_output_tokens": 8192,
                        "litellm_params": {"temperature": 0.7},
                    },
                },
            },
        },
        "lanes": {"routed": {"enabled": False}},  # the guide switches between local and cloud as a whole
    },
)
