"""A whole deploy takes its keys from encrypted files, and the value is nowhere but where it belongs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plan.simulated import HOST, Deploy, deploy

NAME, VALUE, OF_ALL = "ANTHROPIC_DIRECT_KEY", "sk-ant-marked-of-the-host", "sk-ant-marked-of-all"
SCOPES = {"all": OF_ALL, HOST: VALUE, "_fake_box": VALUE}  # the last: as a file is named
BIN = Path(sys.executable).parent


def with_vault(directory: Path) -> dict[str, Any]:
    key = directory / "key"
    files = str(directory / "secrets" / "{scope}.yml")
    inventory = directory / "inventory.py"
    inventory.write_text(f"boxes = [('box', {{'secrets': {{'vault_files': {files!r}, 'key': 'file:{key}'}}}})]\n")
    for scope in ("all", HOST):
        for words in (["init"], ["set", NAME]):
            subprocess.run(
                [str(BIN / "signalbox"), "secrets", "--inventory", str(inventory), *words, "--for", scope],
                input=SCOPES[scope],
                text=True,
                check=True,
                capture_output=True,
            )
    return {"source": "vault", "vault_files": files, "key": f"file:{key}"}


def with_age(directory: Path) -> dict[str, Any]:
    key = str(directory / "key.txt")
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    for scope in ("all", "_fake_box"):
        words = ["age", "--encrypt", "-i", key, "-o", str(directory / f"{scope}.age")]
        subprocess.run(words, input=f"{NAME}={SCOPES[scope]}\n".encode(), check=True)
    return {"source": "age", "age_files": str(directory / "{scope}.age"), "age_identity": key}


def with_ansible_vault(directory: Path) -> dict[str, Any]:
    password = directory / "password"
    password.write_text("marked-password\n")
    password.chmod(0o600)
    for scope in ("all", "_fake_box"):
        file = directory / f"{scope}.yml"
        file.write_text(f"vault_{NAME.lower()}: {SCOPES[scope]}\n")
        words = [str(BIN / "ansible-vault"), "encrypt", "--vault-password-file", str(password), str(file)]
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    files = [str(directory / "{scope}.yml")]
    return {"source": "ansible_vault", "ansible_vault_files": files, "key": f"file:{password}"}


_NEEDS_AGE = pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed (Debian: age)")


@pytest.mark.parametrize("made", [with_vault, pytest.param(with_age, marks=_NEEDS_AGE), with_ansible_vault])
@pytest.mark.slow
def test_keys_of_encrypted_files_are_deployed(made: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    seen: Deploy = deploy({"secrets": made(tmp_path)})
    written = [each for each in seen.sent if VALUE in each["stdin"]]
    assert [f"{NAME}.cred" in each["command"] for each in written] == [True]
    everything = f"{seen.stdout}{seen.stderr}{seen.operations}{[each['command'] for each in seen.sent]}"
    assert VALUE not in everything
    assert OF_ALL not in f"{everything}{seen.sent}"  # the host's goes before
    assert NAME in everything  # the search would have found it


@pytest.mark.slow
def test_a_vault_that_does_not_open_ends_the_run_before_anything_is_done(tmp_path: Path) -> None:
    wrong = {**with_vault(tmp_path), "key": f"file:{tmp_path}/other"}
    (tmp_path / "other").write_text("another passphrase\n")
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        deploy({"secrets": wrong})
    assert "this is not its key" in caught.value.stderr
    assert "nothing was done on any host" in caught.value.stderr
