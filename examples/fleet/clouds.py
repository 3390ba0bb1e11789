"""A fleet of two groups: one works with the Claude API, the other with Azure AI Foundry.

Secrets: ANTHROPIC_DIRECT_KEY for the group `home`, FOUNDRY_API_KEY for the group `office`.
"""

from typing import Any

home: tuple[list[str], dict[str, Any]] = (["box1", "box2"], {})

office = (
    ["box3"],
    {
        "clouds": {
            "anthropic": {"enabled": False},
            "foundry": {
                "enabled": True,
                "resource": "<FOUNDRY_RESOURCE>",
                "models": {
                    "claude-sonnet-4-6": {"id": "<SONNET_DEPLOYMENT>"},
                    "claude-opus-4-8": {"id": "<OPUS_DEPLOYMENT>"},
                    "claude-haiku-4-5": {"id": "<HAIKU_DEPLOYMENT>"},
                },
            },
        },
        "lanes": {
            "routed": {"billed": "the Azure subscription of FOUNDRY_API_KEY; background work is local and free"},
            "local": {"billed": "nobody, unless the local server fails: then the subscription of FOUNDRY_API_KEY"},
            "cloud": {"billed": "the Azure subscription of FOUNDRY_API_KEY"},
        },
    },
)
