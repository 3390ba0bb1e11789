from enum import Enum

# LiteLLM 1.108.10: litellm/proxy/_types.py
class LitellmUserRoles(Enum):
    PROXY_ADMIN = "proxy_admin"

class UserAPIKeyAuth:
    def __init__(
        self,
        *,
        api_key: str | None = None,
        user_role: LitellmUserRoles | None = None,
        key_alias: str | None = None,
        models: list[str] = ...,
        rpm_limit: int | None = None,
        tpm_limit: int | None = None,
        max_parallel_requests: int | None = None,
    ) -> None: ...

def hash_token(token: str) -> str: ...
