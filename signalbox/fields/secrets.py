"""Names of secrets, and where a key comes from; a message never repeats what may be the secret itself."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from signalbox.fields.checks import checked
from signalbox.fields.messages import holds_key

_RESERVED_SECRETS = {
    "ANTHROPIC_API_KEY": "Claude Code itself reads ANTHROPIC_API_KEY and would bill that account "
    "past the gateway; write ANTHROPIC_DIRECT_KEY",
    "ANTHROPIC_AUTH_TOKEN": "Claude Code itself reads ANTHROPIC_AUTH_TOKEN and would send it to every "
    "endpoint; write a name of your own, such as LMSTUDIO_TOKEN",
    "LITELLM_MASTER_KEY": "LITELLM_MASTER_KEY is the gateway's own key, made on the host; "
    "write a name of your own, such as LMSTUDIO_TOKEN",
}


def secret_name(value: str) -> str:
    """The name of a secret. The message never repeats the value: it may be the secret itself."""
    if value in _RESERVED_SECRETS:
        raise ValueError(_RESERVED_SECRETS[value])
    literal = holds_key(value) or len(value) > 64 or re.fullmatch(r"[0-9A-Fa-f]{24,}", value)
    if literal:
        raise ValueError(
            "this looks like a secret itself, and inventory data must hold none; export it as "
            "a variable such as ANTHROPIC_DIRECT_KEY and write that name"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value):
        raise ValueError(
            "this is not the name of a secret (A-Z, 0-9 and single _, not repeated here as it may be "
            "the secret itself); write a name such as ANTHROPIC_DIRECT_KEY"
        )
    return value


def _key_source(value: str) -> str:
    if not re.fullmatch(r"prompt|file:\S.*|env:[A-Za-z_]\w*|command:\S.*", value):
        raise ValueError(
            "this says not where the key comes from (not repeated here, as it may be the key itself); write prompt, "
            "file:PATH, env:NAME or command:WORDS"
        )
    return value


KeySource = Annotated[str, AfterValidator(_key_source)]
SecretName = Annotated[str, checked(secret_name)]
