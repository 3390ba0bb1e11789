"""Guide 2, cc-vibe: the Mistral API through the gateway, which speaks Claude Code's format for it; no local server.

Secrets: MISTRAL_API_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {"lmstudio": {"enabled": False}},
        "clouds": {
            "anthropic": {"enabled": False},
            "mistral": {
                "enabled": True,
                "models": {
                    "mistral-medium": {
                        "id": "mistral-medium-latest",
                        "context_length": 131072,
                        "max_output_tokens": 8192,
                    },
                },
            },
        },
        "gateway": {"fallbacks": {"local": []}},
        "lanes": {
            "routed": {"enabled": False},
            "local": {"enabled": False},
            "local-private": {"enabled": False},
            "cloud": {"enabled": False},
            "vibe": {
                "models": {
                    "main": "mistral-medium",
                    "opus": "mistral-medium",
                    "sonnet": "mistral-medium",
                    "haiku": "mistral-medium",
                    "fable": "mistral-medium",
                },
                "config_dir": "~/.claude-vibe",
            },
        },
    },
)
