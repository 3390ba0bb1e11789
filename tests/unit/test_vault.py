"""The vault gives back what was put in, and nothing that was tampered with; each damage has its own message."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from signalbox.secrets import Secret, SecretError
from signalbox.vault.crypto import Derivation, encoded, generated_key
from signalbox.vault.errors import WrongKeyError
from signalbox.vault.keyring import Keyring, VaultFiles
from tests.unit.vault_refusals import REFUSALS, refused
from tests.unit.vault_table import render
from tests.unit.vault_tampers import KEY, SECRETS, TAMPERS, field, flipped, shown, told, unlocked, vault

DOC = Path(__file__).parents[2] / "docs/drills/vault.md"
OTHER_KEY = b"signalbox-key-" + b"B" * 43

names = st.from_regex(r"\A[A-Z][A-Z0-9]{0,8}(_[A-Z0-9]{1,5}){0,2}\Z")
values = st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable())
stores = st.dictionaries(names, values, max_size=6)


# ---- what was put in comes out ----


@given(stores)
def test_round_trip(store: dict[str, str]) -> None:
    assert shown(unlocked(vault(store).document.render())) == store


@given(stores, names, values)
def test_setting_one_changes_one_line(store: dict[str, str], name: str, value: str) -> None:
    before = vault(store)
    lines = before.document.render().splitlines()
    after = before.with_values([(name, Secret(value))])
    different = set(after.document.render().splitlines()) ^ set(lines)
    if store.get(name) == value:
        assert different == set()
    else:
        assert {line.split(":")[0].strip() for line in different} == {name}
    assert shown(after) == {**store, name: value}


@given(stores)
def test_rotation_keeps_every_value_and_no_ciphertext(store: dict[str, str]) -> None:
    before = vault(store)
    after = before.rekeyed(OTHER_KEY)
    assert shown(unlocked(after.document.render(), OTHER_KEY)) == store
    assert not set(before.document.values.values()) & set(after.document.values.values())
    assert before.document.id != after.document.id
    with pytest.raises(WrongKeyError):
        unlocked(after.document.render(), KEY)


@given(stores)
def test_text_is_yaml_with_readable_names_and_no_value(store: dict[str, str]) -> None:
    text = vault({name: f"marked {value}" for name, value in store.items()}).document.render()
    assert set(yaml.load(text, yaml.BaseLoader)["secrets"] or {}) == set(store)  # noqa: S506 (the name NO is no boolean)
    assert "marked" not in text


def test_same_value_twice_has_two_ciphertexts() -> None:
    document = vault({"A": "same", "B": "same"}).document
    again = vault({"A": "same"}).document
    assert len({document.values["A"], document.values["B"], again.values["A"]}) == 3


@given(st.integers(0, 10_000), st.sampled_from(string.ascii_letters + string.digits + "+/= \n:"))
def test_no_changed_character_goes_unseen(where: int, new: str) -> None:
    text = vault({"A_KEY": "value-one", "B_KEY": "value-two"}).document.render()
    start = text.index("signalbox_vault")  # the comment above is nobody's data
    index = start + where % (len(text) - start)
    if text[index] == new:
        return
    changed = text[:index] + new + text[index + 1 :]
    with pytest.raises(SecretError) as caught:  # a name that was changed is another name, which does not decrypt
        shown(unlocked(changed))
    assert "value-" not in str(caught.value)


def test_passphrase_goes_through_scrypt_with_its_parameters_in_the_file() -> None:
    text = vault(key=b"correct horse battery staple").document.render()
    assert "derivation: scrypt n=131072 r=8 p=1 salt=" in text
    assert shown(unlocked(text, b"correct horse battery staple")) == SECRETS
    with pytest.raises(WrongKeyError):
        unlocked(text, b"correct horse battery stable")


def test_generated_keys_are_recognised_and_differ() -> None:
    assert generated_key() != generated_key()
    assert Derivation.suited_to(generated_key()).n == 0
    assert Derivation.suited_to(b"a passphrase").n == 1 << 17


def test_old_scrypt_parameters_are_still_read() -> None:
    derivation = Derivation.parse(f"scrypt n=16384 r=8 p=1 salt={encoded(b's' * 16)}")
    # RFC 7914's own vector shows that it is scrypt: P=pleaseletmein, S=SodiumChloride, N=16384, r=8, p=1.
    vector = Derivation(16384, 8, 1, b"SodiumChloride").derive(b"pleaseletmein")
    assert vector.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    assert str(Derivation.parse(str(derivation))) == str(derivation)


# ---- the tamper table ----


@pytest.mark.parametrize("case", TAMPERS)
def test_tampered(case: str) -> None:
    told(case)


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(REFUSALS[case])


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_is_said_now() -> None:
    assert DOC.read_text() == render(), "python -m tests.unit.vault_table > docs/drills/vault.md"


def test_the_table_is_long_enough() -> None:
    assert len(TAMPERS) >= 25


def test_one_damaged_value_leaves_the_others_readable() -> None:
    opened = unlocked(field("A_KEY", flipped(14))(vault().document.render()))
    value = opened.get("B_KEY")
    assert value is not None
    assert value.reveal() == SECRETS["B_KEY"]
    repaired = opened.with_values([("A_KEY", Secret("new"))])
    assert shown(repaired) == {**SECRETS, "A_KEY": "new"}


def test_line_ends_of_windows_are_no_damage(tmp_path: Path) -> None:
    files = VaultFiles(f"{tmp_path}/{{scope}}.yml")
    files.path("all").write_bytes(vault().document.render().replace("\n", "\r\n").encode())
    assert files.load(files.path("all")).values.keys() == SECRETS.keys()


def test_a_file_that_was_renamed_is_refused(tmp_path: Path) -> None:
    files = VaultFiles(f"{tmp_path}/{{scope}}.yml")
    files.path("box1").write_text(vault(scope="box2").document.render())
    with pytest.raises(SecretError, match=r"was made as .*box2.yml, for box2: it was renamed or copied"):
        files.load(files.path("box1"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    files = VaultFiles(f"{tmp_path}/{{scope}}.yml")
    files.path("all").write_bytes(vault().document.render().encode() + b"\xff\xfe")
    with pytest.raises(SecretError, match="is no text: it was damaged"):
        files.load(files.path("all"))


def test_each_file_may_have_its_own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", KEY.decode())
    monkeypatch.setenv("TWO", OTHER_KEY.decode())
    keys = Keyring("env:ONE", {"box1": "env:TWO"})
    own = vault(key=OTHER_KEY, scope="box1").document
    assert shown(keys.unlock(own, tmp_path)) == SECRETS
    assert shown(keys.unlock(vault().document, tmp_path)) == SECRETS
    with pytest.raises(WrongKeyError):
        Keyring("env:ONE", {}).unlock(own, tmp_path)
