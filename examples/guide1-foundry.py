"""Guide 1, option A: LM Studio for background work, Claude in Azure AI Foundry for the rest.

The models keep the names that Claude Code knows; the guide's are aliases (`/model foundry-sonnet`).
Secrets: FOUNDRY_API_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {"url": "http://<LMSTUDIO_IP>:1234", "models": {"local": {"id": "<LOCAL_MODEL_ID>"}}},
        },
        "clouds": {
            "anthropic": {"enabled": False},
            "foundry": {
                "enabled": True,
                "resource": "<FOUNDRY_RESOURCE>",
                "models": {
                    "claude-sonnet-4-6": {"id": "<SONNET_DEPLOYMENT>", "aliases": ["foundry-sonnet"]},
                    "claude-opus-4-8": {"id": "<OPUS_DEPLOYMENT>", "aliases": ["foundry-opus"]},
                    "claude-haiku-4-5": {"id": "<HAIKU_DEPLOYMENT>", "aliases": ["foundry-haiku"]},
                },
            },
        },
    },
)
