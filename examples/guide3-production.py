"""Guide 3, production recommendation: Ollama with 64K of context, Claude Haiku when it fails, and the audit log.

    OLLAMA_CONTEXT_LENGTH=65536 ollama serve

Secrets: ANTHROPIC_DIRECT_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {"enabled": False},
            "ollama": {
                "kind": "ollama",
                "url": "http://<OLLAMA_IP>:11434",
                "models": {
                    "local": {
                        "id": "gemma4:26b-a4b",
                        "context_length": 65536,
                        "max_output_tokens": 8192,
                        "litellm_params": {"keep_alive": "60m"},  # else it is unloaded after five minutes
                    },
                },
            },
        },
    },
)
