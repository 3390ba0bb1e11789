"""What is looked at as soon as an answer is there. Each check returns the answer as it is kept, or says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from signalbox.init import clouds, host, keys, servers
from signalbox.init.found import Machine
from signalbox.init.question import Known, WrongAnswerError
from signalbox.init.wishes import Local, accounts
from signalbox.pins import Web
from signalbox.secrets import Secret
from signalbox.settings.fields import CONTEXT_FLOOR, _host_problem, _server_url, _web_url
from signalbox.settings.layers import defaults
from signalbox.settings.problems import nearest

CLAUDES = ("claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5")
T = TypeVar("T")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def one_of(choices: Iterable[str]) -> Callable[[str, Known], str]:
    """Return a check that takes one of these words."""
    words = list(choices)

    def check(given: str, _: Known) -> str:
        if given.lower() not in words:
            raise WrongAnswerError(f"{_shown(given)} is none of {', '.join(words)}{nearest(given.lower(), words)}")
        return given.lower()

    return check


def yes_or_no(given: str, _: Known) -> str:
    """Take y, yes, n or no."""
    word = given.lower()
    if word not in ("y", "yes", "n", "no"):
        raise WrongAnswerError(f"{_shown(given)} is neither yes nor no; write y or n")
    return word[0]


def split_address(given: str) -> tuple[str, int]:
    """Return address and port of an answer such as 192.168.1.10, box.lan:2222 or [fd00::2]:2222."""
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?|([0-9A-Fa-f:]+)", given)
    if not found:
        raise WrongAnswerError(
            f"{_shown(given)} is no address; write one such as 192.168.1.10, or with a port, 192.168.1.10:2222"
        )
    address, port = found[1] or found[2] or found[4], int(found[3] or 22)
    if problem := _host_problem(address):
        raise WrongAnswerError(problem)
    if not 1 <= port <= 65535:
        raise WrongAnswerError(f"{port} is no port; write 1 to 65535")
    return address, port


def address(given: str, known: Known) -> str:
    """A host that answers with an SSH key, which is not another than known_hosts has."""
    if "://" in given or "@" in given or "/" in given:
        raise WrongAnswerError(f"{_shown(given)} is more than an address; write it alone, such as 192.168.1.10")
    where, port = split_address(given)
    if where in _LOOPBACK:
        raise WrongAnswerError(f"{where} is this machine; write the address of the host that is to run Claude Code")
    known.host_key = host.host_key(where, port)
    seen = host.known_key(where, port)
    if seen not in (None, known.host_key.fingerprint):
        known.host_key = None
        name = where if port == 22 else f"[{where}]:{port}"
        raise WrongAnswerError(
            f"{where} shows another key than your known_hosts has: it was installed anew, or somebody else answers. If "
            f"you know that it was, run ssh-keygen -R {name}, then answer again"
        )
    return given


def fingerprint(given: str, known: Known) -> str:
    """The host's fingerprint is what the person expects: by a yes, or by what is written on its console."""
    assert known.host_key is not None
    shown = known.host_key.fingerprint
    if given.lower() in ("y", "yes"):
        return shown
    if given.lower() in ("n", "no"):
        raise WrongAnswerError("then another machine answers there; write the right address", again="host")
    if given == shown or given == shown.removeprefix("SHA256:"):
        return shown
    if re.fullmatch(r"(SHA256:)?[A-Za-z0-9+/]{43}=?", given):
        raise WrongAnswerError(
            f"the host shows {shown}, not this: another machine may answer there; compare again, or write no"
        )
    raise WrongAnswerError(f"{_shown(given)} is neither yes nor no nor a fingerprint such as {shown}")


def user(given: str, _: Known) -> str:
    """A user's name."""
    if not re.fullmatch(r"[a-z_][-a-z0-9_.]{0,31}", given):
        raise WrongAnswerError(f"{_shown(given)} is no user's name; write root, or one such as admin")
    return given


def ssh_key(given: str, known: Known) -> str:
    """A key of this person, made if need be; whether the host takes it is known afterwards."""
    if given.lower() == keys.NEW:
        path = keys.make()
        given = f"~/.ssh/{path.name}"
    else:
        path = keys.checked(given)
    try:
        with host.login(target(known), path) as client:
            _judged(host.look(client), known)
        known.locked_out = False
    except host.KeyRefusedError:
        known.locked_out = True
    return given


def install_password(given: str, known: Known) -> str:
    """A password with which the key is installed; then the key alone must do."""
    path = Path(known.answers["ssh_key"]).expanduser()
    who = known.answers["ssh_user"]
    try:
        if not _lets_in(path, known):  # somebody may have installed it by hand meanwhile
            with host.login(target(known), None, Secret(given)) as client:
                host.install_key(client, keys.public_half(path))
    except host.KeyRefusedError:
        more = (
            " (Debian lets root in by key alone: write another user first, or use the console)" if who == "root" else ""
        )
        raise WrongAnswerError(f"the host does not take this password for {who}{more}; write it again") from None
    try:
        with host.login(target(known), path) as client:
            _judged(host.look(client), known)
    except host.KeyRefusedError:
        raise WrongAnswerError(
            "the key is in ~/.ssh/authorized_keys there, and sshd does not take it; look at the permissions of the home "
            "directory and at PubkeyAuthentication",
            again="ssh_key",
        ) from None
    known.locked_out = False
    return ""


def _lets_in(path: Path, known: Known) -> bool:
    try:
        with host.login(target(known), path):
            return True
    except host.KeyRefusedError:
        return False


def sudo_password(given: str, known: Known) -> str:
    """A password that sudo takes."""
    path = Path(known.answers["ssh_key"]).expanduser()
    with host.login(target(known), path) as client:
        if not host.takes_password(client, Secret(given)):
            raise WrongAnswerError(f"sudo does not take this password of {known.answers['ssh_user']}; write it again")
    return ""


def target(known: Known) -> host.Target:
    """Return where the answers so far lead."""
    assert known.host_key is not None
    where, port = split_address(known.answers["host"])
    return host.Target(where, port, known.answers["ssh_user"], known.host_key)


def _judged(machine: Machine, known: Known) -> None:
    if (machine.system, machine.version) != ("debian", "13"):
        raise WrongAnswerError(
            f"this is {machine.title}, and Signalbox is for Debian 13; install that, or write another host",
            again="host",
        )
    if machine.sudo == "none":
        raise WrongAnswerError(
            f"{known.answers['ssh_user']} is not root and has no sudo there; write root, or a user with sudo",
            again="ssh_user",
        )
    wanted = defaults()["preflight"]
    for name, has, unit in (("memory", machine.memory, "min_memory_mib"), ("disk", machine.disk, "min_disk_mib")):
        if has < wanted[unit]:
            raise WrongAnswerError(
                f"it has {has} MiB of {'memory' if name == 'memory' else 'free disk'}, and needs {wanted[unit]} "
                f"(preflight.{unit}); give it more, or write another host",
                again="host",
            )
    known.machine = machine


def backend(given: str, known: Known) -> str:
    """Addresses at which a model server answers, or `none`."""
    known.servers, known.server = [], None
    if given.lower() == "none":
        return "none"
    for each in _listed(given):
        if "://" in each:
            _field(_server_url, each)
            where = urlsplit(each).hostname or ""
        else:
            where = each
            if problem := _host_problem(where):
                raise WrongAnswerError(f"{problem}, or its URL, such as http://192.168.1.20:1234, or none")
        if where in _LOOPBACK:
            raise WrongAnswerError(f"{each} is whatever machine says it; write its address in your network, or none")
        known.servers += servers.find(each)
    if not known.servers:
        raise WrongAnswerError(
            f"no model server answers at {given}; start it so that your network reaches it (? tells how), or write its "
            "URL with the port, or none"
        )
    if len(known.servers) == 1:
        known.server = known.servers[0]
    return given


def pick_server(given: str, known: Known) -> str:
    """One of the servers that were found, by its URL or number."""
    known.server = _picked(given, [server.url for server in known.servers], known.servers)
    return known.server.url


def backend_token(given: str, known: Known) -> str:
    """A token with which the server tells its models."""
    assert known.server is not None
    found = [each for each in servers.find(known.server.url, Secret(given)) if each.kind == known.server.kind]
    if not found or found[0].locked:
        raise WrongAnswerError(f"{known.server.url} does not take this token; copy it again from the server's settings")
    known.server = found[0]
    return ""


def token_name(known: Known) -> str:
    """Return the name of the secret with the chosen server's token."""
    return Local(known.server.kind if known.server else "", "", "", 0).secret


def model(given: str, known: Known) -> str:
    """A model of the server that is loaded with enough context; an id that it does not list is a mistake."""
    assert known.server is not None
    again = servers.find(known.server.url, known.secrets.get(token_name(known)))
    known.server = next((each for each in again if each.kind == known.server.kind), known.server)
    choice = _picked(given, [each.id for each in known.server.models], known.server.models)
    if choice.context is not None and choice.context < CONTEXT_FLOOR:
        raise WrongAnswerError(
            f"{choice.id} is loaded with {choice.context} tokens of context, and Claude Code needs {CONTEXT_FLOOR}; load "
            "it with more (? tells how), then answer again"
        )
    return choice.id


def context(given: str, _: Known) -> str:
    """Tokens, at least what Claude Code needs."""
    if not given.isdigit():
        raise WrongAnswerError(f"{_shown(given)} is no number of tokens; write one such as 65536")
    if not CONTEXT_FLOOR <= int(given) <= 1 << 22:
        raise WrongAnswerError(f"{given} is not between {CONTEXT_FLOOR}, which Claude Code needs, and {1 << 22}")
    return str(int(given))


def cloud(given: str, known: Known) -> str:
    """A cloud, or none where a local model is."""
    word = one_of(("anthropic", "foundry", "both", "mistral", "none"))(given, known)
    if word == "none" and known.server is None:
        raise WrongAnswerError("without a local model there must be a cloud; write anthropic, foundry, both or mistral")
    return word


def web_address(given: str, _: Known) -> str:
    """A URL of http or https."""
    return _field(_web_url, given)


def field(check: Callable[[str], str]) -> Callable[[str, Known], str]:
    """Return a check from one of settings/fields.py."""
    return lambda given, _: _field(check, given)


def api_key(prefix: str, name: str) -> Callable[[str, Known], str]:
    """Return a check of a key's shape; what was given is never repeated."""

    def check(given: str, _: Known) -> str:
        if problem := Secret(given).problem():
            raise WrongAnswerError(f"the key {problem}; copy it again")
        if re.search(r"\s", given) or len(given) < 16:
            raise WrongAnswerError(f"this is no key of {name} ({len(given)} characters); copy it again, whole")
        if not given.startswith(prefix):
            raise WrongAnswerError(
                f"a key of {name} begins with {prefix}, and this does not; copy it again from its console"
            )
        return ""

    return check


def ask_cloud(given: str, known: Known) -> str:
    """Ask the cloud whether the key works, after a yes."""
    word = yes_or_no(given, known)
    if word == "y":
        with Web(certificates(known)) as web:
            for account in accounts(known.answers["cloud"]):
                record = defaults()["clouds"][account]
                secret = known.secrets[record["secret"]]
                clouds.check(record["kind"], cloud_url(account, known), secret, cloud_models(account, known), web)
    return word


def cloud_url(account: str, known: Known) -> str:
    """Return where an account's API is, without /v1."""
    if account == "foundry":
        own = known.answers.get("foundry_url", "standard")
        base = f"https://{known.answers['foundry_resource']}.services.ai.azure.com" if own == "standard" else own
        return f"{base}/anthropic"
    return known.answers.get("api_url") or str(defaults()["clouds"][account]["url"])


def cloud_models(account: str, known: Known) -> list[str]:
    """Return the models that an account must have, as it calls them."""
    if account == "foundry":
        return [known.answers[f"foundry_{name.split('-')[1]}"] for name in CLAUDES]
    return list(CLAUDES) if account == "anthropic" else ["mistral-medium-latest"]


def certificates(known: Known) -> list[str]:
    """Return the text of the CA certificates that were named."""
    return [
        Path(path).expanduser().read_text(encoding="utf-8")
        for path in ca_paths(known.answers.get("ca_certificates", "none"))
    ]


def ca_paths(given: str) -> list[str]:
    """Return the paths of an answer; none for `none`."""
    return [] if given.lower() == "none" else _listed(given)


def ca_certificates(given: str, _: Known) -> str:
    """PEM files, or `none`."""
    for path in ca_paths(given):
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise WrongAnswerError(f"{path} cannot be read; write the path of a PEM file, or none") from None
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise WrongAnswerError(f"{path} holds no certificate in PEM; write another, or none")
    return given


def logins(given: str, _: Known) -> str:
    """Public keys, or paths of them."""
    for each in _listed(given):
        if "PRIVATE KEY" in each:
            raise WrongAnswerError("this is a private key; write the path of its public half, which ends in .pub")
        if re.match(r"(ssh|ecdsa|sk)-[\w@.-]+ ", each):
            continue
        path = Path(each).expanduser()
        try:
            words = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            raise WrongAnswerError(
                f"{each} cannot be read; write the path of a public key, such as ~/.ssh/id_ed25519.pub"
            ) from None
        if len(words) < 2 or not re.match(r"(ssh|ecdsa|sk)-", words[0]):
            raise WrongAnswerError(f"{each} is no public key; write the path of one that ends in .pub")
    return given


def vault_key(given: str, _: Known) -> str:
    """Where the key of the secrets file comes from."""
    if given.lower() in ("passphrase", "prompt"):
        return "prompt"
    if given.startswith(("~", "/")):
        given = f"file:{given}"
    if not given.startswith("file:") or len(given) < 7 or given.endswith("/"):
        raise WrongAnswerError("write passphrase, or the path of a key file, such as ~/.config/signalbox/vault.key")
    path = Path(given.removeprefix("file:")).expanduser()
    if path.is_dir():
        raise WrongAnswerError(f"{path} is a directory; write a file in it, such as {path}/vault.key")
    if path.exists() and not path.is_file():
        raise WrongAnswerError(f"{path} is no file; write another path")
    if not path.is_absolute():
        raise WrongAnswerError(f"{given} is not the whole path; write it from ~ or / on")
    if Path.cwd() in path.parents:
        raise WrongAnswerError(f"{path} is in the repository, where the key must never be; write a path outside of it")
    return given


def listed(given: str) -> list[str]:
    """Return the parts of an answer that are separated by commas."""
    return _listed(given)


def _listed(given: str) -> list[str]:
    parts = [part.strip() for part in given.split(",")]
    if not all(parts):
        raise WrongAnswerError("there is nothing between two commas; write one, or several as in a, b")
    return parts


def _field(check: Callable[[str], str], given: str) -> str:
    try:
        return check(given)
    except ValueError as error:
        raise WrongAnswerError(str(error)) from None


def _picked(given: str, names: list[str], things: Iterable[T]) -> T:
    found = list(things)
    if given in names:
        return found[names.index(given)]
    if given.isdigit() and 1 <= int(given) <= len(found):
        return found[int(given) - 1]
    raise WrongAnswerError(
        f"{_shown(given)} is not in the list; write a number from 1 to {len(found)}, or the name{nearest(given, names)}"
    )


def _shown(given: str) -> str:
    text = given if given.isprintable() else repr(given)
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'


def deployment(given: str, _: Known) -> str:
    """A deployment's name in Foundry."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,63}", given):
        raise WrongAnswerError(
            f"{_shown(given)} is no deployment's name (letters, digits, - _ .); write one such as claude-sonnet-4-6"
        )
    return given


def standard_or(check: Callable[[str, Known], str]) -> Callable[[str, Known], str]:
    """Return a check that also takes `standard`."""
    return lambda given, known: "standard" if given.lower() == "standard" else check(given, known)
