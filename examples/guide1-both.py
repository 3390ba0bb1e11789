"""Guide 1 with both clouds: the Claude API first, Foundry when it fails, and a lane of Foundry's own.

Secrets: ANTHROPIC_DIRECT_KEY and FOUNDRY_API_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {"url": "http://<LMSTUDIO_IP>:1234", "models": {"local": {"id": "<LOCAL_MODEL_ID>"}}},
        },
        "clouds": {
            "foundry": {
                "enabled": True,
                "resource": "<FOUNDRY_RESOURCE>",
                "models": {
                    "foundry-claude-sonnet-4-6": {"id": "<SONNET_DEPLOYMENT>", "aliases": ["foundry-sonnet"]},
                    "foundry-claude-opus-4-8": {"id": "<OPUS_DEPLOYMENT>", "aliases": ["foundry-opus"]},
                    "foundry-claude-haiku-4-5": {"id": "<HAIKU_DEPLOYMENT>", "aliases": ["foundry-haiku"]},
                },
            },
        },
        "gateway": {
            "fallbacks": {
                "local": ["claude-haiku-4-5", "foundry-claude-haiku-4-5"],
                "claude-sonnet-4-6": ["foundry-claude-sonnet-4-6"],
                "claude-opus-4-8": ["foundry-claude-opus-4-8"],
            },
        },
        "lanes": {
            "foundry": {
                "models": {
                    "main": "foundry-claude-sonnet-4-6",
                    "opus": "foundry-claude-opus-4-8",
                    "sonnet": "foundry-claude-sonnet-4-6",
                    "haiku": "local",
                    "fable": "foundry-claude-opus-4-8",
                },
                "config_dir": "~/.claude-foundry",
            },
        },
    },
)
