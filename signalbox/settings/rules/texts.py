"""Rules of texts, wherever they stand: no placeholder where it matters, and no secret anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.messages import holds_key, show
from signalbox.settings.layers import Path
from signalbox.settings.problems import TO_FILL_IN, Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections

_FILL_IN = {
    "<HOST_LOCAL_IP>": "the address of your Debian 13 host, such as 192.168.1.10",
    "<LMSTUDIO_IP>": "the address of the machine that runs LM Studio, such as 192.168.1.20",
    "<LOCAL_MODEL_ID>": "the model's id from LM Studio's /v1/models, such as qwen/qwen3.6-35b-a3b",
    "<OLLAMA_IP>": "the address of the machine that runs Ollama, such as 192.168.1.20",
    "<VLLM_IP>": "the address of the machine that runs vLLM, such as 192.168.1.20",
    "<LLAMA_CPP_IP>": "the address of the machine that runs llama-server, such as 192.168.1.20",
    "<FOUNDRY_RESOURCE>": "the first label of https://<resource>.services.ai.azure.com",
    "<SONNET_DEPLOYMENT>": "the name you gave the Sonnet deployment",
    "<OPUS_DEPLOYMENT>": "the name you gave the Opus deployment",
    "<HAIKU_DEPLOYMENT>": "the name you gave the Haiku deployment",
}
_PASSWORDS = {  # pyinfra's own data
    "ssh_password": "log in by key, or run pyinfra with --ssh-password-prompt",
    "ssh_key_password": "load the key into ssh-agent",
    "_sudo_password": "name the secret in connection.sudo_password",
}
# Their fields say more of a secret in their place.
_NAMES = {"token", "secret", "password", "sudo_password", "credential"}


def placeholders(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """What only a person can give is given, wherever it is used."""
    if PLACEHOLDER.search(settings.host):
        yield Problem(("inventory.py",), _placeholder(settings.host))
    for section, value in raw.items():
        if section == "defaults":
            continue
        for path, text in _texts(value, (section,), disabled=False):
            if PLACEHOLDER.search(text):
                yield Problem(path, _placeholder(text))


def _placeholder(text: str) -> str:
    found = PLACEHOLDER.findall(text)
    what = " and ".join(_FILL_IN.get(each, f"your own value for {each}") for each in dict.fromkeys(found))
    return f"{show(text)} {TO_FILL_IN}; write {what}"


def literal_secrets(_: Sections, raw: Raw) -> Iterator[Problem]:
    """No secret stands in inventory data, not even where it is not used."""
    for key, instead in _PASSWORDS.items():
        if raw.get(key):
            yield Problem((key,), f"inventory data must hold no password; {instead}")
    for path, text in _texts(raw, (), disabled=True):
        if path[:1] == ("defaults",):
            in_place = False  # a default that every record replaces is looked at nowhere else
        else:
            in_place = path[-1] in _NAMES or path[:2] == ("service_user", "authorized_keys")
        if holds_key(text) and not in_place and path[:1] != ("extra_ca_certificates",):
            yield Problem(path, "this looks like a secret, and inventory data must hold none; take it out")


def _texts(value: object, path: Path, disabled: bool) -> Iterator[tuple[Path, str]]:
    """Every text in a value, keys too, with its path; `disabled`: also in what is switched off."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, bytes):
        yield path, value.decode(errors="replace")
    elif isinstance(value, Mapping) and (disabled or value.get("enabled") is not False):
        for key, item in value.items():
            below = (*path, str(key))
            yield below, str(key)
            yield from _texts(item, below, disabled)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index), disabled)


RULES: list[Rule] = [placeholders, literal_secrets]
