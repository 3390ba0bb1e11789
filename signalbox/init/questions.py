"""The questions, in their order, as data."""

from __future__ import annotations

from collections.abc import Callable

from signalbox.backends import BACKENDS
from signalbox.init import advice, checks, keys
from signalbox.init.question import Known, Question
from signalbox.init.wishes import CLOUDS
from signalbox.settings.fields import _image, _resource
from signalbox.settings.layers import defaults

_MIRRORS = defaults()["mirrors"]


def _own_network(known: Known) -> bool:
    return known.said("network", "mirrors")


def _anthropic(known: Known) -> bool:
    return known.said("cloud", "anthropic", "both")


def _foundry(known: Known) -> bool:
    return known.said("cloud", "foundry", "both")


def _has_server(known: Known) -> bool:
    return known.server is not None


def _needs_token(known: Known) -> bool:
    return known.server is not None and known.server.locked


def _context_untold(known: Known) -> bool:
    """Whether the server did not tell how much the chosen model is loaded with."""
    server = known.server
    return server is not None and loaded_context(known) is None


def loaded_context(known: Known) -> int | None:
    """Return the tokens that the chosen model is loaded with, by its server's word."""
    models = known.server.models if known.server else ()
    return next((each.context for each in models if each.id == known.answers.get("model")), None)


def _models(known: Known) -> list[str]:
    models = known.server.models if known.server else ()
    return [f"{each.id} ({f'loaded with {each.context} tokens' if each.context else 'not loaded'})" for each in models]


def _cost(known: Known) -> str:
    if _foundry(known):
        return "Foundry has no free question, so one of a few tokens goes to your Sonnet deployment, which costs a fraction of a cent."
    return "It is asked for its list of models, which costs nothing."


def _deployment(name: str) -> Question:
    return Question(
        id=f"foundry_{name.split('-')[1]}",
        words=f"Name of your deployment of {name.split('-')[1].capitalize()} in Foundry",
        example=f"our-{name}",
        default=name,
        more="It is in the portal of Azure AI Foundry under Deployments. Keep the model's name in it.",
        check=checks.deployment,
        when=_foundry,
    )


def _mirror(name: str, words: str, check: Callable[[str, Known], str]) -> Question:
    return Question(
        id=f"mirror_{name}",
        words=words,
        example=str(_MIRRORS[name] or "https://mirror.example.org/" + name),
        default=str(_MIRRORS[name] or "standard"),
        more=f"The setting mirrors.{name}; docs/mirrors.md says what must be there.",
        check=check,
        when=_own_network,
    )


QUESTIONS = (
    Question(
        id="host",
        words="Address of the Debian 13 host that is to run Claude Code",
        example="192.168.1.10",
        more="A machine or VM with Debian 13, 4 CPUs, 16 GB of memory and 80 GB of disk, which this one reaches by SSH. "
        "With another SSH port: 192.168.1.10:2222. `ip -brief address` on its console tells its address.",
        check=checks.address,
    ),
    Question(
        id="fingerprint",
        words=lambda known: (
            f"It shows the key {known.host_key.fingerprint if known.host_key else ''}. Is that the host's? (yes, no, or its fingerprint)"
        ),
        example="yes",
        more="On the host's console, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` tells the right one. The key is "
        "written to inventory.py, and no other is accepted from then on.",
        check=checks.fingerprint,
    ),
    Question(
        id="ssh_user",
        words="Log in there as",
        example="root, or an admin user with sudo",
        default="root",
        check=checks.user,
        more="Deploys come as this user. Claude Code runs as another one, `claude`, which is made.",
    ),
    Question(
        id="ssh_key",
        words="Your SSH key (its private file; `new` makes one)",
        example="~/.ssh/id_ed25519",
        default=lambda _: keys.usual(),
        more="Keys are in ~/.ssh, on Windows in C:\\Users\\<you>\\.ssh. `new` makes ~/.ssh/id_ed25519 without a passphrase; "
        "`ssh-keygen -p -f ~/.ssh/id_ed25519` gives it one, and ssh-agent then holds it for deploys. A .ppk of PuTTY is "
        "exported in PuTTYgen: Conversions, Export OpenSSH key.",
        check=checks.ssh_key,
    ),
    Question(
        id="install_password",
        words=lambda known: (
            f"The host does not take this key yet. Password of {known.answers.get('ssh_user')} there, once, to install it"
        ),
        more=advice.install_by_hand,
        check=checks.install_password,
        when=lambda known: known.locked_out,
        secret=lambda _: "SIGNALBOX_HOST_PASSWORD",
    ),
    Question(
        id="sudo_password",
        words=lambda known: (
            f"Password of {known.answers.get('ssh_user')} for sudo (kept in the encrypted secrets file)"
        ),
        more="Each deploy needs it. Without a password: `echo '<user> ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/<user>` as root.",
        check=checks.sudo_password,
        when=lambda known: known.machine is not None and known.machine.sudo == "password",
        secret=lambda _: "ADMIN_SUDO",
    ),
    Question(
        id="backend",
        words="Address of the machine that runs your model server (several with commas; `none`: cloud alone)",
        example="192.168.1.20, or http://192.168.1.20:1234",
        more=lambda _: (
            "At an address these are tried, and nothing else:\n"
            + "\n".join(f"  {kind} at {module.USUAL}; start it so: {module.START}" for kind, module in BACKENDS.items())
            + f"\n\n{advice.table()}"
        ),
        check=checks.backend,
    ),
    Question(
        id="server",
        words="Several model servers answer. Which one?",
        choices=lambda known: [f"{server.url} ({server.kind})" for server in known.servers],
        default="1",
        more="More of them can be written to group_data/claude_hosts.py afterwards; docs/backends.md says how.",
        check=checks.pick_server,
        when=lambda known: len(known.servers) > 1,
    ),
    Question(
        id="backend_token",
        words="This server asks for a token",
        more="LM Studio: Developer, Server Settings, Require Authentication. Others: what they were started with.",
        check=checks.backend_token,
        when=_needs_token,
        secret=checks.token_name,
    ),
    Question(
        id="model",
        words="Which model of it?",
        choices=_models,
        default="1",
        more=lambda known: (
            f"It needs at least 32768 tokens of context, 65536 are better. There: {BACKENDS[known.server.kind].START if known.server else ''}\n\n{advice.table()}"
        ),
        check=checks.model,
        when=_has_server,
    ),
    Question(
        id="context",
        words="The server does not tell how much context that model gets. How many tokens?",
        example="65536",
        default="32768",
        more="What the server was started with, or loads the model with. Too large a number makes requests fail.",
        check=checks.context,
        when=_context_untold,
    ),
    Question(
        id="cloud",
        words=f"Cloud for the foreground ({', '.join(CLOUDS)})",
        example="anthropic",
        default="anthropic",
        more="anthropic: the Claude API, billed by token. foundry: Claude in Azure AI Foundry. both: the Claude API, and "
        "Foundry when it fails. mistral: the Mistral API. none: the local model alone.",
        check=checks.cloud,
    ),
    Question(
        id="foundry_resource",
        words="Name of your Foundry resource",
        example="myfoundry, the first label of https://myfoundry.services.ai.azure.com",
        more="In the portal: Keys and Endpoint. Not the long id that begins with /subscriptions.",
        check=checks.field(_resource),
        when=_foundry,
    ),
    *(_deployment(name) for name in checks.CLAUDES),
    Question(
        id="network",
        words="Do downloads and cloud requests go straight to the internet, or to mirrors of your own? (internet, mirrors)",
        example="internet",
        default="internet",
        more="mirrors: for networks without the internet, and companies with a registry of their own; docs/mirrors.md.",
        check=checks.one_of(("internet", "mirrors")),
    ),
    Question(
        id="ca_certificates",
        words="CA certificates that hosts shall trust too (PEM files, with commas; `none`)",
        example="/usr/local/share/ca-certificates/company.crt",
        default="none",
        more="Those that sign for your mirrors, and for a proxy that looks into TLS.",
        check=checks.ca_certificates,
        when=_own_network,
    ),
    _mirror("debian", "Mirror of Debian (`standard`: what the host uses now)", checks.standard_or(checks.web_address)),
    _mirror("mise", "Mirror of mise's releases", checks.web_address),
    _mirror("node", "Mirror of Node", checks.web_address),
    _mirror("npm", "npm registry (`standard`: what npm itself uses)", checks.standard_or(checks.web_address)),
    _mirror("litellm", "Image repository of LiteLLM", checks.field(_image)),
    Question(
        id="api_url",
        words="Address of the cloud's API",
        example="https://api.anthropic.com",
        default=lambda known: str(
            defaults()["clouds"]["mistral" if known.said("cloud", "mistral") else "anthropic"]["url"]
        ),
        more="A gateway of your company may stand before it.",
        check=checks.web_address,
        when=lambda known: _own_network(known) and (_anthropic(known) or known.said("cloud", "mistral")),
    ),
    Question(
        id="foundry_url",
        words="Address of Foundry, without /anthropic (`standard`: that of the resource)",
        example="https://foundry-gateway.example.org",
        default="standard",
        more="A gateway of your company may stand before it.",
        check=checks.standard_or(checks.web_address),
        when=lambda known: _own_network(known) and _foundry(known),
    ),
    Question(
        id="anthropic_key",
        words="Your Claude API key (begins with sk-ant-; not shown)",
        more="https://console.anthropic.com, API keys. It goes into the encrypted secrets file as ANTHROPIC_DIRECT_KEY, and "
        "never as ANTHROPIC_API_KEY, which Claude Code itself would bill.",
        check=checks.api_key("sk-ant-", "the Claude API"),
        when=_anthropic,
        secret=lambda _: "ANTHROPIC_DIRECT_KEY",
    ),
    Question(
        id="foundry_key",
        words="Your key of the Foundry resource (not shown)",
        more="In the portal: Keys and Endpoint; either of the two.",
        check=checks.api_key("", "Foundry"),
        when=_foundry,
        secret=lambda _: "FOUNDRY_API_KEY",
    ),
    Question(
        id="mistral_key",
        words="Your Mistral API key (not shown)",
        more="https://console.mistral.ai, API keys.",
        check=checks.api_key("", "Mistral"),
        when=lambda known: known.said("cloud", "mistral"),
        secret=lambda _: "MISTRAL_API_KEY",
    ),
    Question(
        id="check_cloud",
        words=lambda known: f"Ask the cloud whether the key works? {_cost(known)}",
        example="y",
        default=lambda known: "n" if _foundry(known) else "y",
        check=checks.ask_cloud,
        when=lambda known: not known.said("cloud", "none"),
    ),
    Question(
        id="logins",
        words="Public keys that may log in as `claude` there (with commas)",
        example="~/.ssh/id_ed25519.pub",
        default=lambda known: f"{known.answers.get('ssh_key', '~/.ssh/id_ed25519')}.pub",
        more="Whoever uses Claude Code there. Paths of .pub files, or keys themselves.",
        check=checks.logins,
    ),
    Question(
        id="vault_key",
        words="What opens the encrypted secrets file: a key file's path, or `passphrase`, which each deploy then asks for",
        example="~/.config/signalbox/vault.key",
        default="~/.config/signalbox/vault.key",
        more="A key file that is not there is made; keep a copy of it in a safe place. docs/secrets.md has more ways.",
        check=checks.vault_key,
    ),
)
