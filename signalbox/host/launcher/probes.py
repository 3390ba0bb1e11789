"""Short, free questions: they tell at once what Claude Code itself would retry for a minute and a half in silence."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from typing import Any

from ..shared import context, within
from ..shared.output import EX_CONFIG, EX_UNAVAILABLE, fail, say

PATIENCE = 3  # seconds; the gateway is on this host's loopback, a model server on its network
CLOUD_PATIENCE = 10
There = Callable[[], Mapping[str, bool]]  # tells what `answering` has returned, and asks when it is called first
PROGRESS_PATIENCE = 0.5  # for the status line


@dataclass(frozen=True)
class Trouble:
    """Why a lane cannot work, as a person should read it, and the exit status that goes with it."""

    status: int
    text: str


def check(name: str, lane: dict[str, Any], gateway: dict[str, str], key: str | None) -> None:
    """End with the reason if the lane cannot work."""
    found = trouble(name, lane, gateway, key)
    if found:
        fail(found.status, found.text)


def trouble(name: str, lane: dict[str, Any], gateway: dict[str, str], key: str | None) -> Trouble | None:
    """Return why the lane cannot work: its gateway or server is down, or refuses the key; None if it can."""
    if lane["via"] == "gateway":
        return _of_gateway(gateway, key or "", lane)
    if lane["via"] == "direct":
        found = _of_server(name, lane["goes_to"], key)
        return found or (_of_one_token(lane, key) if lane.get("preflight") else None)
    return _of_cloud(lane, key) if key else None


def fitted(
    lane: dict[str, Any],
    key: str | None,
    gateway: dict[str, str] | None = None,
    *,
    interactive: bool,
    there: There | None = None,
) -> dict[str, Any]:
    """Return the lane with the window that its model has loaded now; end where no server has enough of it.

    A server that does not tell is passed over: whether it is there at all has been checked. One that wants a token,
    which a lane through the gateway does not have, was asked by the gateway.
    """
    if interactive:
        for said in outlook(lane, there):
            say(said)
    told = _told(lane, key, gateway)
    refused = []
    for reading, tokens in told:
        for grave, said in context.verdicts(tokens, reading):
            refused += [said] if grave == "refused" else []
            if grave == "warning" and (interactive or tokens < reading["context_length"]):
                say(said)
    if refused and len(refused) == len(told):
        fail(EX_CONFIG, "; ".join(refused))
    window = _window(lane, told)
    if window is None or "CLAUDE_CODE_MAX_CONTEXT_TOKENS" not in lane["environment"]:
        return lane
    fits = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(window)}
    if longest := lane["environment"].get("CLAUDE_CODE_MAX_OUTPUT_TOKENS"):
        fits["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(min(int(longest), window // 4))
    return {**lane, "environment": {**lane["environment"], **fits}}


def answering(lane: dict[str, Any]) -> dict[str, bool]:
    """Return of each server of a lane whether it answers, by its name; they are asked side by side."""
    local = lane.get("servers", {})
    asked = {**local, **lane.get("main_servers", {})}
    with ThreadPoolExecutor(max_workers=len(asked) or 1) as pool:
        looks = {name: pool.submit(answers, url, proxies=name not in local) for name, url in asked.items()}
        return {name: look.result() for name, look in looks.items()}


def outlook(lane: dict[str, Any], there: There | None = None) -> Iterator[str]:
    """Yield what a lane through the gateway will do otherwise than a person expects, since a server of it is silent."""
    mains, local = lane.get("main_servers", {}), lane.get("servers", {})
    if not mains:
        return
    answered = there() if there else answering(lane)
    silent = [f"{name} does not answer at {url}" for name, url in mains.items() if not answered[name]]
    if len(silent) == len(mains):
        yield f"{'; '.join(silent)}: {instead(lane)}"
    elif background := [name for name in local if name not in mains and not answered[name]]:
        yield f"{', '.join(background)} does not answer: until then background work is billed, or not done"


def is_silent(lane: dict[str, Any], there: There) -> bool:
    """Whether none of those that have the lane's main model answers."""
    mains = lane.get("main_servers", {})
    return bool(mains) and not any(there()[name] for name in mains)


def instead(lane: dict[str, Any]) -> str:
    """Return who answers while no server has the lane's main model, and who pays."""
    for each in lane["instead"]:
        payer = f"billed to {each['billed']}" if each["billed"] else "free"
        if each["billed"] and lane.get("asks"):
            return f"{each['model']} at {each['at']} would answer, {payer}, once somebody allows it"
        return f"until then {each['model']} at {each['at']} answers, {payer}"
    return "nobody answers until then, as no other follows in this lane; claude-switch list names other lanes"


def window(lane: dict[str, Any], key: str | None, gateway: dict[str, str]) -> int | None:
    """Return how many tokens of context the lane's servers have its model loaded with now; None: none tells."""
    return _window(lane, _told(lane, key, gateway))


def _window(lane: dict[str, Any], told: list[tuple[dict[str, Any], int]]) -> int | None:
    """Return the least of what the lane's servers have loaded, more or less than the settings tell; None: none tells.

    context_length counts where a server does not tell, and bounds what each request has loaded anew.
    """
    loaded: list[int] = [
        min(tokens, reading["context_length"]) if reading["on_demand"] else tokens
        for reading, tokens in told
        if tokens >= context.FLOOR
    ]
    if not loaded:
        return None
    heard = [reading for reading, _ in told]
    untold: list[int] = [each["context_length"] for each in lane["readings"] if each not in heard]
    return min([*loaded, *untold])


def _of_the_gateway(url: str) -> dict[str, int | None]:
    """Return what the gateway has read of its servers' contexts, by deployment; nothing where it does not say."""
    try:
        return dict(ask(f"{url}/signalbox/models"))
    except (OSError, ValueError, TypeError):
        return {}


def _told(lane: dict[str, Any], key: str | None, gateway: dict[str, str] | None) -> list[tuple[dict[str, Any], int]]:
    readings = lane.get("readings", ())
    keyed = gateway is not None and any(each.get("keyed") for each in readings) and lane["via"] == "gateway"
    known = _of_the_gateway(gateway["url"]) if gateway and keyed else {}
    found = [
        (
            each,
            known.get(each["id"])
            if keyed and each["keyed"]
            else _loaded(each, key if lane["via"] == "direct" else None),
        )
        for each in readings
        if each["url"]  # None: such a server never tells
    ]
    return [(reading, tokens) for reading, tokens in found if tokens is not None]


def _loaded(reading: dict[str, Any], key: str | None) -> int | None:
    try:
        return context.loaded(ask(reading["url"], {"Authorization": f"Bearer {key}"} if key else {}, 1), reading)
    except (OSError, ValueError):
        return None


def tokens_read(lane: dict[str, Any], key: str | None) -> int | None:
    """Return how many tokens of a prompt a server of the lane has read that has said nothing yet; None: none does so.

    llama.cpp b10434 tells it in its slots, and answers while it reads.
    """
    for url in lane.get("slots", ()):
        try:
            slots = ask(url, {"Authorization": f"Bearer {key}"} if key else {}, PROGRESS_PATIENCE)
            for slot in slots if isinstance(slots, list) else ():
                if slot.get("is_processing") is True and not slot["next_token"][0]["n_decoded"]:
                    return int(slot["n_prompt_tokens_processed"]) + int(slot.get("n_prompt_tokens_cache") or 0)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return None


def answers(url: str, *, proxies: bool = False) -> bool:
    """Whether something answers at `url` at all."""
    try:
        ask(url, proxies=proxies)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    except ValueError:
        return True
    return True


def ask(
    url: str, headers: dict[str, str] | None = None, patience: float = PATIENCE, proxies: bool = False, body: Any = None
) -> Any:
    """Return the JSON that `url` answers; raises HTTPError, or OSError or ValueError when nothing useful comes."""
    # What is on this host or its network is never asked through a proxy.
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {})  # noqa: S310
    status, _, said = within.fetched(request, patience, proxies)
    if not 200 <= status < 300:
        raise urllib.error.HTTPError(url, status, "", Message(), None)
    return within.json_of(said)


def _of_gateway(gateway: dict[str, str], key: str, lane: dict[str, Any]) -> Trouble | None:
    url = gateway["url"]
    logs = "journalctl _SYSTEMD_USER_UNIT=litellm.service -n 30 (as root)"  # its user may not be this one
    try:
        served = {model["id"] for model in ask(f"{url}/v1/models", {"Authorization": f"Bearer {key}"})["data"]}
    except urllib.error.HTTPError as error:
        if error.code in (400, 401, 403):  # LiteLLM without a database answers 400 to a wrong key
            text = f"the gateway at {url} refuses the key in {lane['key_file']}; run the deploy again"
            return Trouble(EX_CONFIG, text)
        return Trouble(EX_UNAVAILABLE, f"the gateway at {url} answers {error.code}; see {logs}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"the gateway does not answer at {url} ({_reason(error)}); it may be starting, else see {logs}"
        return Trouble(EX_UNAVAILABLE, text)
    missing = sorted(set(lane["models"].values()) - served)
    if missing:
        return Trouble(EX_CONFIG, f"the gateway at {url} has no model {', '.join(missing)}; run the deploy again")
    return None


def _of_server(name: str, url: str, key: str | None) -> Trouble | None:
    """Any answer to a harmless question is a server that is there."""
    try:
        ask(f"{url}/v1/models", {"Authorization": f"Bearer {key}"} if key else {})
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            text = f"the server at {url} refuses this lane's key; set lanes.{name}.credential, and deploy"
            return Trouble(EX_CONFIG, text)
    except ValueError:
        return None  # it answers, only not with JSON
    except OSError as error:
        text = f"the model server does not answer at {url} ({_reason(error)}); start it there"
        return Trouble(EX_UNAVAILABLE, text)
    return None


def _of_one_token(lane: dict[str, Any], key: str | None) -> Trouble | None:
    url = f"{lane['goes_to']}/v1/messages"
    body = {"model": lane["models"]["main"], "max_tokens": 1, "messages": [{"role": "user", "content": "."}]}
    headers = {"Authorization": f"Bearer {key}", "content-type": "application/json", "anthropic-version": "2023-06-01"}
    try:
        ask(url, headers, CLOUD_PATIENCE, proxies=True, body=body)
    except urllib.error.HTTPError as error:
        return Trouble(EX_UNAVAILABLE, f"{url} answers {error.code} to one token of {lane['models']['main']}")
    except (OSError, ValueError) as error:
        return Trouble(EX_UNAVAILABLE, f"{url} gives no answer to one token ({_reason(error)})")
    return None


def _of_cloud(lane: dict[str, Any], key: str) -> Trouble | None:
    url, headers = lane["goes_to"], {"x-api-key": key, "anthropic-version": "2023-06-01"}
    try:
        ask(f"{url}/v1/models", headers, CLOUD_PATIENCE, proxies=True)  # a list of models bills nothing
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return Trouble(EX_CONFIG, f"{url} refuses the key in {lane['key_file']}; set the right one, and deploy")
    except ValueError:
        return None
    except OSError as error:
        return Trouble(EX_UNAVAILABLE, f"{url} does not answer ({_reason(error)})")
    return None


def _reason(error: Exception) -> object:
    return getattr(error, "reason", error)
