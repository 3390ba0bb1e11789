"""Variables that change where Claude Code's requests go or who pays, whoever sets them."""

from __future__ import annotations

# https://code.claude.com/docs/en/env-vars
PREFIXES = (
    "ANTHROPIC_",
    "CLAUDE_CODE_GATEWAY_",
    "CLAUDE_CODE_HOST_AUTH_",
    "CLAUDE_CODE_OAUTH_",
    "CLAUDE_CODE_SKIP_",
    "CLAUDE_CODE_USE_",
    "CLAUDE_LOCAL_OAUTH_",
)
NAMES = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_CUSTOM_OAUTH_URL",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",  # stops the background calls that a lane sends elsewhere
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
    "CLAUDE_CODE_EXTRA_BODY",
    "CLAUDE_CODE_PROCESS_WRAPPER",
    "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_SECURESTORAGE_CONFIG_DIR",
    "_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL",
)
HARMLESS = ("ANTHROPIC_DIRECT_KEY",)  # a name of ours, which Claude Code does not read


def conflicts(name: str) -> bool:
    """Whether a variable would change where requests go or who pays."""
    return name.upper().startswith(PREFIXES) or name.upper() in NAMES


def decides(name: str) -> bool:
    """Whether Claude Code would follow a variable in a lane's place, or bill something else."""
    return conflicts(name) and name not in HARMLESS
