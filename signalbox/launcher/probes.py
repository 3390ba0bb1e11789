"""Short, free questions: they tell at once what Claude Code itself would retry for a minute and a half in silence."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .speak import EX_CONFIG, EX_UNAVAILABLE, fail

PATIENCE = 3  # seconds; the gateway is on this host's loopback, a model server on its network
CLOUD_PATIENCE = 10
ANTHROPIC = "https://api.anthropic.com"


def check(name: str, lane: dict[str, Any], gateway: dict[str, str], key: str | None) -> None:
    """End with the reason if the lane cannot work: its gateway or server is down, or refuses the key."""
    if lane["via"] == "gateway":
        _check_gateway(gateway, key or "", lane)
    elif lane["via"] == "direct":
        _check_server(name, lane["environment"]["ANTHROPIC_BASE_URL"], key)
    elif key:
        _check_cloud(lane, key)


def ask(url: str, headers: dict[str, str] | None = None, patience: float = PATIENCE, proxies: bool = False) -> Any:
    """Return the JSON that `url` answers; raises HTTPError, or OSError or ValueError when nothing useful comes."""
    # What is on this host or its network is never asked through a proxy.
    handler = urllib.request.ProxyHandler(None if proxies else {})
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310
    with urllib.request.build_opener(handler).open(request, timeout=patience) as answer:
        return json.load(answer)


def _check_gateway(gateway: dict[str, str], key: str, lane: dict[str, Any]) -> None:
    url = gateway["url"]
    logs = "journalctl _SYSTEMD_USER_UNIT=litellm.service -n 30 (as root)"  # its user may not be this one
    try:
        served = {model["id"] for model in ask(f"{url}/v1/models", {"Authorization": f"Bearer {key}"})["data"]}
    except urllib.error.HTTPError as error:
        if error.code in (400, 401, 403):  # LiteLLM without a database answers 400 to a wrong key
            fail(EX_CONFIG, f"the gateway at {url} refuses the key in {lane['key_file']}; run the deploy again")
        fail(EX_UNAVAILABLE, f"the gateway at {url} answers {error.code}; see {logs}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        fail(EX_UNAVAILABLE, f"the gateway does not answer at {url} ({reason}); it may be starting, else see {logs}")
    missing = sorted(set(lane["models"].values()) - served)
    if missing:
        fail(EX_CONFIG, f"the gateway at {url} has no model {', '.join(missing)}; run the deploy again")


def _check_server(name: str, url: str, key: str | None) -> None:
    """Any answer to a harmless question is a server that is there."""
    try:
        ask(f"{url}/v1/models", {"Authorization": f"Bearer {key}"} if key else {})
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            fail(EX_CONFIG, f"the server at {url} refuses this lane's key; set lanes.{name}.credential, and deploy")
    except ValueError:
        return  # it answers, only not with JSON
    except OSError as error:
        reason = getattr(error, "reason", error)
        fail(EX_UNAVAILABLE, f"the model server does not answer at {url} ({reason}); start it there")


def _check_cloud(lane: dict[str, Any], key: str) -> None:
    url = lane["environment"].get("ANTHROPIC_BASE_URL", ANTHROPIC)
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    try:
        ask(f"{url}/v1/models", headers, CLOUD_PATIENCE, proxies=True)  # a list of models bills nothing
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            fail(EX_CONFIG, f"{url} refuses the key in {lane['key_file']}; set the right one, and deploy")
    except ValueError:
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        fail(EX_UNAVAILABLE, f"{url} does not answer ({reason})")
