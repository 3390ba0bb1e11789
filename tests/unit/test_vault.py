"""The vault gives back what was put in, and nothing that was tampered with; each damage has its own message."""

from __future__ import annotations

import hashlib
import string
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from signalbox.secrets import Secret, SecretError
from signalbox.vault.crypto import Derivation, decoded, encoded, generated_key
from signalbox.vault.document import Document
from signalbox.vault.errors import WrongKeyError
from signalbox.vault.reading import Keyring, VaultFiles
from signalbox.vault.vault import Vault

PATH = Path("secrets/all.yml")
KEY = b"signalbox-key-" + b"A" * 43
OTHER_KEY = b"signalbox-key-" + b"B" * 43
SECRETS = {"A_KEY": "marked-value-1c5e", "B_KEY": "marked-value-9d20", "LONG": "x" * 3000}

names = st.from_regex(r"\A[A-Z][A-Z0-9]{0,8}(_[A-Z0-9]{1,5}){0,2}\Z")
values = st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable())
stores = st.dictionaries(names, values, max_size=6)


def vault(secrets: dict[str, str] = SECRETS, key: bytes = KEY, scope: str = "all") -> Vault:
    empty = Vault.create(scope, key, PATH)
    return empty.with_values((name, Secret(value)) for name, value in secrets.items())


def unlocked(text: str, key: bytes = KEY) -> Vault:
    return Vault.unlock(Document.parse(text, PATH), key, PATH)


def shown(vault: Vault) -> dict[str, str]:
    return {name: value.reveal() for name in vault.names if (value := vault.get(name)) is not None}


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

Tamper = Callable[[str], str]


def field(name: str, change: Callable[[str], str], fix_checksum: bool = False) -> Tamper:
    def tamper(text: str) -> str:
        lines = text.split("\n")
        index = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{name}: "))
        before, _, value = lines[index].partition(": ")
        lines[index] = f"{before}: {change(value)}"
        return rechecked("\n".join(lines)) if fix_checksum else "\n".join(lines)

    return tamper


def rechecked(text: str) -> str:
    """With the checksum that the changed header should have: what an attacker would write."""
    lines = text.split("\n")
    checksum = hashlib.sha256("".join(f"{line}\n" for line in lines[1:6]).encode()).hexdigest()[:16]
    lines[6] = f"checksum: {checksum}"
    return "\n".join(lines)


def flipped(byte: int) -> Callable[[str], str]:
    """One bit of that byte of base64's data, in the last word of the line."""

    def flip(value: str) -> str:
        head, space, last = value.rpartition(" ")
        head, salt, last = (head + space, "salt=", last[5:]) if last.startswith("salt=") else (head + space, "", last)
        data = bytearray(decoded(last))
        data[byte] ^= 1
        return f"{head}{salt}{encoded(bytes(data))}"

    return flip


def spare_bit(value: str) -> str:
    """Another text of the same bytes: base64 leaves bits of its last character unused."""
    assert value.endswith("==")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    return f"{value[:-3]}{alphabet[alphabet.index(value[-3]) + 1]}=="


def swap(text: str) -> str:
    lines = text.split("\n")
    a, b = (next(i for i, line in enumerate(lines) if line.startswith(f"  {name}: ")) for name in ("A_KEY", "B_KEY"))
    lines[a], lines[b] = lines[a].replace("A_KEY", "B_KEY"), lines[b].replace("B_KEY", "A_KEY")
    return "\n".join(lines)


def moved_from_another_file(text: str) -> str:
    other = vault({"A_KEY": "marked-value-other"}).document.values["A_KEY"]
    return field("A_KEY", lambda _: encoded(other))(text)


def header_of_another(text: str) -> str:
    other = vault({}).document.render().split("\n")
    return "\n".join([*other[:8], *text.split("\n")[8:]])


def twice(text: str) -> str:
    line = next(line for line in text.split("\n") if line.startswith("  A_KEY"))
    return text.replace(line, f"{line}\n{line}")


def conflict(text: str) -> str:
    line = next(line for line in text.split("\n") if line.startswith("  A_KEY"))
    return text.replace(f"{line}\n", f"<<<<<<< HEAD\n{line}\n=======\n{line}\n>>>>>>> theirs\n")


def newline_in_scope(text: str) -> str:
    return text.replace("scope: all", "scope: all\nscope: box1")


KEY_MESSAGE = "this is not its key"
HEADER = r"its header \(lines 2 to 7\) was changed or damaged"
VALUE = "the value of A_KEY was changed, or comes from another file or name"

TAMPERS: dict[str, tuple[Tamper, str]] = {
    # flipped bits, in every part
    "id, one digit": (
        field("id", lambda value: value.translate({ord(value[0]): "f" if value[0] != "f" else "e"})),
        HEADER,
    ),
    "salt, one bit": (field("derivation", flipped(0)), HEADER),
    "wrapped key, a bit of its nonce": (field("key", flipped(0)), HEADER),
    "wrapped key, a bit of its tag": (field("key", flipped(-1)), HEADER),
    "checksum, one digit": (field("checksum", lambda value: ("0" if value[0] != "0" else "1") + value[1:]), HEADER),
    "value, a bit of its nonce": (field("A_KEY", flipped(0)), VALUE),
    "value, a bit of its text": (field("A_KEY", flipped(14)), VALUE),
    "value, a bit of its tag": (field("A_KEY", flipped(-1)), VALUE),
    "value, one character that is not base64's": (
        field("A_KEY", lambda value: "*" + value[1:]),
        r"the value of A_KEY \(line 9\) was changed or damaged",
    ),
    "value, a bit that base64 leaves unused": (
        field("LONG", spare_bit),
        r"the value of LONG \(line 11\) was changed or damaged",
    ),
    "value, cut short": (field("A_KEY", lambda value: value[:8]), VALUE),
    "value, empty": (field("A_KEY", lambda _: ""), r"the value of A_KEY was changed|line 9"),
    # the same by somebody who knows the format
    "id, with a right checksum": (field("id", lambda _: "0" * 32, True), KEY_MESSAGE),
    "scope, with a right checksum": (field("scope", lambda _: "box1", True), KEY_MESSAGE),
    "salt, with a right checksum": (field("derivation", flipped(3), True), KEY_MESSAGE),
    "wrapped key, with a right checksum": (field("key", flipped(20), True), KEY_MESSAGE),
    "weaker derivation": (field("derivation", lambda v: f"scrypt n=16384 r=8 p=1 {v.split()[-1]}", True), KEY_MESSAGE),
    "derivation that costs nothing": (
        field("derivation", lambda v: f"scrypt n=2 r=8 p=1 {v.split()[-1]}", True),
        "scrypt parameters out of range",
    ),
    "derivation that eats the machine": (
        field("derivation", lambda v: f"scrypt n=16777216 r=8 p=1 {v.split()[-1]}", True),
        "scrypt parameters out of range",
    ),
    "derivation of another kind": (field("derivation", lambda _: "none", True), "no derivation that is known"),
    # moved
    "two values swapped": (swap, "the value of A_KEY is that of B_KEY: it was moved or renamed"),
    "a value copied over another": (
        lambda text: field("A_KEY", lambda _: encoded(Document.parse(text, PATH).values["B_KEY"]))(text),
        "the value of A_KEY is that of B_KEY",
    ),
    "a secret renamed": (lambda text: text.replace("  A_KEY:", "  C_KEY:"), "the value of C_KEY was changed, or comes"),
    "a value of another file": (moved_from_another_file, VALUE),
    "the header of another file": (header_of_another, VALUE),
    # versions
    "an older header": (field("signalbox_vault", lambda _: "0"), "says format 0, which there never was"),
    "a newer header": (field("signalbox_vault", lambda _: "2"), r"newer Signalbox \(format 2, this one knows 1\)"),
    "no header": (lambda text: "\n".join(text.split("\n")[2:]), "is no vault file"),
    # cut off and merged
    "empty": (lambda _: "", "is empty"),
    "cut in the header": (lambda text: text[:200], "is cut off"),
    "cut in a value": (lambda text: text[:-30], "is cut off"),
    "cut between two lines": (lambda text: "\n".join(text.split("\n")[:-3]) + "\n", "is cut off"),
    "a merge conflict": (conflict, r"holds a merge conflict \(line 9\)"),
    "a name twice": (twice, r"has A_KEY twice \(again in line 10\)"),
    "a line of its own kind": (lambda text: text.replace("...", "  note\n..."), "should be `  NAME: …`"),
    "a second scope": (newline_in_scope, "should be `derivation: …`"),
    "Ansible's": (lambda _: "$ANSIBLE_VAULT;1.1;AES256\n3132\n", "is an Ansible Vault file"),
}


@pytest.mark.parametrize("case", TAMPERS)
def test_tampered(case: str) -> None:
    tamper, message = TAMPERS[case]
    text = vault().document.render()
    assert shown(unlocked(text)) == SECRETS  # before
    changed = tamper(text)
    assert changed != text
    with pytest.raises(SecretError, match=message) as caught:
        shown(unlocked(changed))
    told = "".join(traceback.format_exception(caught.value))
    assert str(caught.value).startswith("secrets/all.yml: ")
    assert "marked-value" not in told


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
