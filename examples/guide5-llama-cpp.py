"""Guide 5: llama.cpp alone, behind LiteLLM; no cloud, no limits, nothing leaves.

    llama-server -m Qwen3.6-27B-MTP.gguf --host 0.0.0.0 --port 8080 -c 65536 -np 1 --jinja

Secrets: none.
"""

claude_hosts = (
    [("<HOST_LOCAL_IP>", {"service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]}})],
    {
        "backends": {
            "lmstudio": {"enabled": False},
            "llama": {
                "kind": "llama_cpp",
                "url": "http://<LLAMA_CPP_IP>:8080",
                "models": {
                    "local": {"id": "qwen3.6-27b-mtp", "context_length": 65536, "max_output_tokens": 8192},
                },
            },
        },
        "clouds": {"anthropic": {"enabled": False}},
        "gateway": {"fallbacks": {"local": []}},
        "lanes": {
            "routed": {"enabled": False},
            "cloud": {"enabled": False},
        },
    },
)
