"""Every source gives its secrets, a host's over its groups' over all's. Files are made by the real tools.

ansible-vault, age, pass and sops are the real ones. op is called as its documentation says, with a program in its
place, which proves our side of the call alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from signalbox.commands.secrets import secrets
from signalbox.secrets import SecretError
from signalbox.settings import Settings
from signalbox.settings.secret_source import SOURCES
from tests.good_settings import layers

VALUE = "sk-ant-marked-77aa"
NAME = "ANTHROPIC_DIRECT_KEY"
ANSIBLE, SOPS = (Path(sys.executable).with_name(name) for name in ("ansible-vault", "sops"))


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULT_PASSWORD", "marked-password")


def settings(source: str, **more: Any) -> Settings:
    """Settings of box1, which is in the groups lab and, later, berlin."""
    data = {"secrets": {"source": source, "key": "env:VAULT_PASSWORD", **more}}
    groups = [("group lab", dict[str, Any]()), ("group berlin", dict[str, Any]())]
    low, good, high = layers(data)
    return Settings.from_layers([low, good, *groups, high], host="box1")


def value(of: Settings, name: str = NAME) -> str:
    return of.secret(name).reveal()


def refused(message: str, of: Settings, name: str = NAME) -> None:
    with pytest.raises(SecretError, match=message) as caught:
        of.secret(name)
    assert str(caught.value).startswith(f"box1: secret {name}")
    assert VALUE not in str(caught.value)


def program(name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name, first on PATH."""
    directory = Path("bin").resolve()
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


# ---- the vault ----


@pytest.mark.slow
def test_vault() -> None:
    def signalbox(*words: str, stdin: str = "") -> None:
        result = CliRunner().invoke(secrets, ["--key", "env:VAULT_PASSWORD", *words], input=stdin)
        assert result.exit_code == 0, result.output

    vault = settings("vault")
    refused(r"none of secrets/box1.yml, secrets/berlin.yml, secrets/lab.yml, secrets/all.yml exists; run", vault)
    for scope in ("all", "lab", "berlin", "box1"):
        signalbox("init", "--for", scope)
        if scope == "all":
            refused("looked in .*; run `signalbox secrets set ANTHROPIC_DIRECT_KEY`", vault)
        signalbox("set", NAME, "--for", scope, stdin=f"of {scope}")
        assert value(vault) == f"of {scope}"
    signalbox("set", "ONLY_FOR_ALL", stdin=VALUE)
    assert value(vault, "ONLY_FOR_ALL") == VALUE


# ---- Ansible Vault ----


def ansible(*words: str, stdin: str = "") -> str:
    Path("password").write_text("marked-password\n")
    command = [str(ANSIBLE), *words, "--vault-password-file", "password"]
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(Path("tmp").resolve()), "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, env=environment).stdout


def encrypted(path: str, text: str, *words: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    ansible("encrypt", path, *words)
    assert Path(path).read_text().startswith("$ANSIBLE_VAULT;")


def test_files_of_real_ansible_vault() -> None:
    encrypted("group_vars/all/vault.yml", f"---\nANTHROPIC_DIRECT_KEY: {VALUE}\nvault_pin: 0042\nlower: 'ü x'\n")
    found = settings("ansible_vault")
    assert value(found) == VALUE
    assert value(found, "PIN") == "0042"
    assert value(found, "LOWER") == "ü x"
    encrypted("host_vars/box1/vault.yml", f"{NAME}: of box1\n", "--encrypt-vault-id", "default")
    assert value(settings("ansible_vault")) == "of box1"
    refused("add NEVER_SET with `ansible-vault edit", found, "NEVER_SET")


def test_files_with_a_vault_id() -> None:
    Path("password").write_text("marked-password\n")
    Path("group_vars/all").mkdir(parents=True)
    file = Path("group_vars/all/vault.yml")
    file.write_text(f"{NAME}: {VALUE}\n")
    subprocess.run([str(ANSIBLE), "encrypt", "--vault-id", "prod@password", str(file)], check=True, capture_output=True)
    assert file.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;prod")
    assert value(settings("ansible_vault")) == VALUE


def test_values_of_real_ansible_vault_within_yaml() -> None:
    text = ansible("encrypt_string", "--stdin-name", NAME, stdin=VALUE)
    assert "!vault" in text
    Path("group_vars/all").mkdir(parents=True)
    Path("group_vars/all/vault.yml").write_text(f"plain: [1, 2]\n{text}OPEN: in clear\n")
    assert value(settings("ansible_vault")) == VALUE
    assert value(settings("ansible_vault"), "OPEN") == "in clear"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "is damaged or cut off|does not open it, or it was changed"),
        (lambda text: text[:200] + ("1" if text[200] != "1" else "2") + text[201:], "does not open|is damaged"),
        (lambda text: text.replace("1.1", "9.9"), "is not of a format that is known"),
        (lambda _: f"{NAME}: !vault ''\n", "is not of a format that is known"),
    ],
)
def test_ansible_vault_that_was_changed(change: Any, message: str) -> None:
    encrypted("group_vars/all/vault.yml", f"{NAME}: {VALUE}\n")
    file = Path("group_vars/all/vault.yml")
    file.write_text(change(file.read_text()))
    refused(message, settings("ansible_vault"))


def test_a_template_of_ansible_is_not_taken_for_a_value() -> None:
    Path("group_vars/all").mkdir(parents=True)
    file = Path("group_vars/all/vault.yml")
    file.write_text(f"{NAME.lower()}: '{{{{ vault_{NAME.lower()} }}}}'\nvault_{NAME.lower()}: {VALUE}\n")
    refused(
        f"{file}: {NAME.lower()} is a template, which only Ansible fills in; write its value", settings("ansible_vault")
    )
    file.write_text(f"vault_{NAME.lower()}: {VALUE}\n")
    assert value(settings("ansible_vault")) == VALUE


def test_wrong_password_of_ansible_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted("group_vars/all/vault.yml", f"{NAME}: {VALUE}\n")
    monkeypatch.setenv("OTHER_PASSWORD", "another")
    refused("the password .* does not open it", settings("ansible_vault", key="env:OTHER_PASSWORD"))


# ---- age ----


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed (Debian: age)")
def test_files_of_real_age() -> None:
    def encrypt(path: str, text: str) -> None:
        Path(path).parent.mkdir(exist_ok=True)
        subprocess.run(["age", "--encrypt", "-i", "key.txt", "-o", path], input=text.encode(), check=True)

    for key in ("key.txt", "other.txt"):
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    found = settings("age", age_identity="key.txt")
    refused("none of secrets/box1.age, .* exists; add a line ANTHROPIC_DIRECT_KEY=", found)
    encrypt("secrets/all.age", f"# keys\nexport {NAME}='{VALUE}'\nOTHER=2\n")
    assert value(found) == VALUE
    assert value(found, "OTHER") == "2"
    encrypt("secrets/lab.age", f"{NAME}: in YAML too\n")
    assert value(found) == "in YAML too"
    encrypt("secrets/box1.age", f"{NAME}=of box1\n".replace("of box1", "'of box1'"))
    assert value(found) == "of box1"
    refused("age secrets/box1.age: age: error: no identity matched", settings("age", age_identity="other.txt"))
    Path("secrets/box1.age").write_bytes(Path("secrets/box1.age").read_bytes()[:-5])
    refused("age secrets/box1.age: age: error", found)


# ---- pass ----


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A GnuPG home with a key of its own, without a passphrase."""
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    make = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "test@example.org", "default", "default", "never"]
    subprocess.run(make, check=True, capture_output=True)
    yield home
    subprocess.run(["gpgconf", "--kill", "all"], check=False)


@pytest.mark.skipif(shutil.which("pass") is None, reason="pass is not installed (Debian: pass)")
@pytest.mark.usefixtures("keyring")
def test_entries_of_real_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "store"))

    def insert(entry: str, text: str) -> None:
        subprocess.run(["pass", "insert", "-m", "-f", entry], input=text.encode(), check=True, capture_output=True)

    subprocess.run(["pass", "init", "test@example.org"], check=True, capture_output=True)
    found = settings("pass", pass_entry=f"{tmp_path.name}/{{scope}}/{{name}}")
    refused("is not set or empty; looked in .*; run: pass insert", found)
    insert(f"{tmp_path.name}/all/{NAME}", f"{VALUE}\nlogin: me\n")
    assert value(found) == VALUE
    insert(f"{tmp_path.name}/box1/TWO", "of box1")
    assert value(found, "TWO") == "of box1"
    (tmp_path / "store" / tmp_path.name / "box1" / "BROKEN.gpg").write_bytes(b"nothing")
    refused("pass .*BROKEN: gpg: ", found, "BROKEN")


# ---- sops ----


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed (Debian: gnupg)")
@pytest.mark.usefixtures("keyring")
def test_files_of_real_sops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{SOPS.parent}:{os.environ['PATH']}")
    listed = subprocess.run(["gpg", "--list-keys", "--with-colons"], capture_output=True, text=True, check=True).stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    Path("secrets").mkdir()
    Path("plain.json").write_text(f'{{"{NAME}": "{VALUE}", "nested": {{"a": "b"}}}}')
    words = ["sops", "--encrypt", "--pgp", fingerprint, "plain.json"]
    Path("secrets/all.sops.json").write_bytes(subprocess.run(words, capture_output=True, check=True).stdout)
    assert VALUE not in Path("secrets/all.sops.json").read_text()
    assert value(settings("sops")) == VALUE
    text = Path("secrets/all.sops.json").read_text()
    Path("secrets/all.sops.json").write_text(text.replace("data:", "data:AAAA", 1))
    refused("sops secrets/all.sops.json: ", settings("sops"))


def test_how_sops_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    program("sops", f'echo "$@" >> calls; echo \'{{"{NAME}": "{VALUE}", "sops_version": "3"}}\'', monkeypatch)
    Path("secrets").mkdir()
    Path("secrets/all.sops.json").write_text("{}")
    assert value(settings("sops")) == VALUE
    assert value(settings("sops")) == VALUE
    assert Path("calls").read_text() == "--decrypt --output-type json secrets/all.sops.json\n"  # once
    program("sops", "echo 'Failed to get the data key' >&2; exit 128", monkeypatch)
    Path("secrets/all.sops.json").write_text("{ }")
    refused("sops secrets/all.sops.json: Failed to get the data key", settings("sops"))


# ---- 1Password ----


def test_how_op_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(
        "op",
        'echo "$@" >> calls\n'
        f'case "$3" in */{NAME}/lab) printf %s {VALUE};;\n'
        '*/LOCKED/*) echo "[ERROR] you are not currently signed in" >&2; exit 1;;\n'
        "*) echo \"[ERROR] could not read secret '$3': item 'x' does not have a field 'y'\" >&2; exit 1;; esac",
        monkeypatch,
    )
    found = settings("op", op_entry=f"op://{tmp_path.name}/{{name}}/{{scope}}")
    assert value(found) == VALUE
    calls = Path("calls").read_text().splitlines()
    assert calls == [f"read --no-newline op://{tmp_path.name}/{NAME}/{scope}" for scope in ("box1", "berlin", "lab")]
    refused("is not set or empty; looked in op://.*; add the field op://.*/OTHER/all", found, "OTHER")
    refused("you are not currently signed in", found, "LOCKED")


# ---- all of them ----


@pytest.mark.parametrize("source", ["sops", "age", "op", "pass"])
def test_a_tool_that_is_not_installed(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("secrets").mkdir()
    for name in ("all.age", "all.sops.json"):
        Path("secrets", name).write_text(source)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(f"{source} is not installed; install it, or set secrets.source otherwise", settings(source), "SOME_KEY")


@pytest.mark.parametrize("source", SOURCES)
def test_a_secret_that_is_nowhere(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool, said in (("op", "isn't an item"), ("pass", "is not in the password store")):
        program(tool, f'echo "Error: {said}" >&2; exit 1', monkeypatch)
    refused(r"is not set or empty; .*NOWHERE|is not set or empty; none of .* exists; ", settings(source), "NOWHERE")
