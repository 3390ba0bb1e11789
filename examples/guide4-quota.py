"""Guide 4: the Claude API until its quota or rate limit is hit, then the local model, without a restart.

Secrets: ANTHROPIC_DIRECT_KEY.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {
                "url": "http://<LMSTUDIO_IP>:1234",
                "models": {"local": {"id": "<LOCAL_MODEL_ID>", "context_length": 65536}},  # a cloud's session needs it
            },
        },
        "gateway": {
            "fallbacks": {"local": []},
            "quota_fallbacks": {
                "claude-sonnet-4-6": ["local"],
                "claude-opus-4-8": ["local"],
                "claude-haiku-4-5": ["local"],
            },
        },
        "lanes": {
            "cloud": {"fallbacks": "all"},
        },
    },
)
