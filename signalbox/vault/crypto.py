"""The vault's cryptography: https://cryptography.io's primitives, put together as its documentation advises.

- Passphrases are stretched by scrypt (RFC 7914) with OWASP's parameters; keys that `signalbox secrets init`
  generated have 256 random bits and only go through HKDF-SHA256 (RFC 5869).
- The result wraps a random data key, which is the file's own; that encrypts each value.
- Both with AES-256-GCM, a random 96-bit nonce each time, and associated data that says what is encrypted.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_BYTES, SALT_BYTES, NONCE_BYTES, TAG_BYTES = 32, 16, 12, 16
PASSPHRASE_MINIMUM = 12  # characters: whoever has the file can guess as fast as scrypt lets them
# OWASP Password Storage Cheat Sheet: N=2^17, r=8, p=1; 128 MiB and some tenths of a second.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 17, 8, 1
_N_RANGE, _R_RANGE, _P_RANGE = (1 << 14, 1 << 20), (8, 16), (1, 4)  # more would be a file that eats the machine

_GENERATED = re.compile(rb"signalbox-key-[A-Za-z0-9_-]{43}")
_SCRYPT = re.compile(r"scrypt n=(\d{1,8}) r=(\d{1,3}) p=(\d{1,3}) salt=(\S+)")
_HKDF = re.compile(r"hkdf-sha256 salt=(\S+)")


class DamagedError(ValueError):
    """What was decrypted is not what was encrypted under this key and associated data."""


def generated_key() -> bytes:
    """A new key for a key file: 256 random bits as text."""
    return b"signalbox-key-" + base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).rstrip(b"=")


def is_generated(key: bytes) -> bool:
    """Whether a key is one of `generated_key`, and so needs no stretching."""
    return _GENERATED.fullmatch(key) is not None


@dataclass(frozen=True)
class Derivation:
    """How the key that wraps is made from what the user has; `n` = 0: HKDF in place of scrypt."""

    n: int = SCRYPT_N
    r: int = SCRYPT_R
    p: int = SCRYPT_P
    salt: bytes = field(default_factory=lambda: os.urandom(SALT_BYTES))

    @classmethod
    def suited_to(cls, key: bytes) -> Derivation:
        """The derivation for a new file with this key, with a fresh salt."""
        return cls(n=0) if is_generated(key) else cls()

    @classmethod
    def parse(cls, text: str) -> Derivation:
        """Read what `str` wrote.

        Raises:
            ValueError: it is no such text, or has parameters out of range.
        """
        if found := _HKDF.fullmatch(text):
            return cls(n=0, salt=_salt(found[1]))
        if not (found := _SCRYPT.fullmatch(text)):
            raise ValueError("no derivation that is known")
        n, r, p = (int(found[index]) for index in (1, 2, 3))
        for value, (low, high) in ((n, _N_RANGE), (r, _R_RANGE), (p, _P_RANGE)):
            if not low <= value <= high:
                raise ValueError("scrypt parameters out of range")
        if n & (n - 1):
            raise ValueError("scrypt's n is no power of two")
        return cls(n, r, p, _salt(found[4]))

    def __str__(self) -> str:
        if not self.n:
            return f"hkdf-sha256 salt={encoded(self.salt)}"
        return f"scrypt n={self.n} r={self.r} p={self.p} salt={encoded(self.salt)}"

    def derive(self, key: bytes) -> bytes:
        """The key that wraps the data key."""
        if self.n:
            return Scrypt(salt=self.salt, length=KEY_BYTES, n=self.n, r=self.r, p=self.p).derive(key)
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=self.salt, info=b"signalbox vault").derive(key)


def new_data_key() -> bytes:
    """A random key for AES-256-GCM."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """Encrypt; the result is nonce, ciphertext and tag. `about` must be the same to decrypt."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def unseal(key: bytes, sealed: bytes, about: str) -> bytes:
    """Decrypt what `seal` made.

    Raises:
        DamagedError: another key, another `about`, or a changed text.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError):
        raise DamagedError from None


def encoded(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Base64 text as bytes; every text but the one that `encoded` writes is refused.

    Raises:
        ValueError: it is no such text.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
    if encoded(data) != text:
        raise ValueError("no canonical base64")
    return data


def _salt(text: str) -> bytes:
    salt = decoded(text)
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt of another length")
    return salt
