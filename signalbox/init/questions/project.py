"""Who uses the host, and what opens the secrets."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from signalbox.init.files import INVENTORY, FileError, group_data, literals
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.validators import listed
from signalbox.secrets import SecretError
from signalbox.settings.layers import defaults
from signalbox.vault.errors import WrongKeyError
from signalbox.vault.keyring import Keyring, VaultFiles
from signalbox.vault.keys import PATTERN, read_key
from signalbox.vault.storage import load

VAULT = VaultFiles(defaults()["secrets"]["vault_files"]).path("all")


def logins(given: str, _: Known) -> str:
    """Public keys, or paths of them."""
    for each in listed(given):
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


def vault_key(given: str, known: Known) -> str:  # noqa: ARG001 (a question's check)
    """Where the key of the secrets file comes from; one that is there opens the file that is there."""
    if given.lower() in ("passphrase", "prompt"):
        return "prompt"  # asked for when the file is written
    if given.startswith(("~", "/")):
        given = f"file:{given}"
    kind, _, rest = given.partition(":")
    if not PATTERN.fullmatch(given) or given.endswith("/"):
        raise WrongAnswerError("write passphrase, or the path of a key file, such as ~/.config/signalbox/vault.key")
    if kind == "file":
        _key_file(Path(rest).expanduser())
    try:
        if VAULT.exists():
            Keyring(given, {}).unlock(load(VAULT), VAULT)
        elif kind != "file" or Path(rest).expanduser().exists():
            read_key(given, str(VAULT))
    except WrongKeyError:
        raise WrongAnswerError(f"{given} does not open {VAULT}, which is there; write what does") from None
    except SecretError as error:
        raise WrongAnswerError(str(error)) from None
    return given


def _key_file(path: Path) -> None:
    if path.is_dir():
        raise WrongAnswerError(f"{path} is a directory; write a file in it, such as {path}/vault.key")
    if path.exists() and not path.is_file():
        raise WrongAnswerError(f"{path} is no file; write another path")
    if not path.is_absolute():
        raise WrongAnswerError(f"{path} is not the whole path; write it from ~ or / on")
    if Path.cwd() in path.parents:
        raise WrongAnswerError(f"{path} is in the repository, where the key must never be; write a path outside of it")


def _usual_key(known: Known) -> str:  # noqa: ARG001 (a question's default)
    """Return what opens the secrets file that is there, or where a new key file usually is."""
    with suppress(FileError):
        for group in literals(INVENTORY) if VAULT.exists() else ():
            if key := literals(group_data(group)).get("secrets", {}).get("key"):
                return str(key)
    return "~/.config/signalbox/vault.key"


QUESTIONS = (
    Question(
        id="logins",
        words="Public keys that may log in as `claude` there (with commas)",
        example="~/.ssh/id_ed25519.pub",
        default=lambda known: f"{known.answers.get('ssh_key', '~/.ssh/id_ed25519')}.pub",
        more="Whoever uses Claude Code there. Paths of .pub files, or keys themselves.",
        check=logins,
    ),
    Question(
        id="vault_key",
        words="What opens the encrypted secrets file: a key file's path, or `passphrase`, which each deploy asks for",
        example="~/.config/signalbox/vault.key",
        default=_usual_key,
        more="A key file that is not there is made; keep a copy of it in a safe place. docs/secrets.md has more ways.",
        check=vault_key,
    ),
)
