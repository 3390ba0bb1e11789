"""Guide 1, option B: LM Studio for background work, the Claude API for the rest. The defaults, as an inventory.

Secrets: ANTHROPIC_DIRECT_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {
                "url": "http://<LMSTUDIO_IP>:1234",
                "models": {"local": {"id": "<LOCAL_MODEL_ID>"}},  # loaded with at least 32768 tokens of context
            },
        },
    },
)
