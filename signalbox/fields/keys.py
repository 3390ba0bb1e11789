"""SSH public keys and CA certificates: given as text or as a file of the controller, used as text."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Annotated

from cryptography import x509
from pydantic import AfterValidator

from signalbox.fields.messages import show

# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, key type, base64 blob, comment.
_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
_KEY = re.compile(rf"(?:^|\s)(?P<type>{'|'.join(map(re.escape, _TYPES))})\s+(?P<blob>\S+)")
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|PuTTY-User-Key-File")
_EXAMPLE = '"ssh-ed25519 AAAA… name"'


def public_keys(text: str) -> list[str]:
    """The public keys of `text`: one key, or the path of a .pub file on the controller.

    Raises:
        ValueError: it is neither, or it is a private key. The message never repeats key material.
    """
    if _PRIVATE.search(text):
        raise ValueError(
            "one is a private key, which never leaves its owner; write the public half, the .pub file's line"
        )
    if _KEY.search(text):
        return [_checked(text)]
    if "\n" in text or not _is_path(text):
        raise ValueError(f"{show(text)} is no SSH public key; write {_EXAMPLE} or the path of a .pub file")
    content = _read(text, ".pub file")
    if _PRIVATE.search(content):
        raise ValueError(f"{show(text)} holds a private key; write {show(text + '.pub')}")
    lines = [line.strip() for line in content.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError(f"{show(text)} holds no SSH public key; make one with ssh-keygen -t ed25519")
    try:
        return [_checked(key) for key in keys]
    except ValueError as error:
        raise ValueError(f"{show(text)}: {error}") from None


def host_key(text: str) -> str:
    """A host's public key, `type base64`, without options or comment.

    Raises:
        ValueError: it is no public key.
    """
    found = _KEY.match(_checked(text))
    if found is None:
        raise ValueError(f"{show(text)} has options before its type; write {_EXAMPLE} as ssh-keyscan prints it")
    return f"{found['type']} {found['blob']}"


def _checked(line: str) -> str:
    line = line.strip()
    found = _KEY.search(line)
    if _PRIVATE.search(line) or found is None:
        raise ValueError(f"{show(line)} is no SSH public key; write {_EXAMPLE}")
    try:
        fields = _fields(base64.b64decode(found["blob"], validate=True))
    except (binascii.Error, struct.error):
        fields = []
    if len(fields) < 2 or fields[0] != found["type"].encode() or (fields[0] == b"ssh-ed25519" and len(fields[1]) != 32):
        raise ValueError(f"{show(line)} is a damaged SSH public key; copy the whole line of its .pub file")
    return line


def _fields(blob: bytes) -> list[bytes]:
    """The length-prefixed strings of a key blob (RFC 4251, section 5); raises struct.error when cut short."""
    fields = []
    while blob:
        (length,) = struct.unpack_from(">I", blob)
        (field,) = struct.unpack_from(f"{length}s", blob, 4)
        fields.append(field)
        blob = blob[4 + length :]
    return fields


def ca_certificates(text: str) -> str:
    """The PEM text of one or more CA certificates, given as PEM text or as a file of the controller.

    Raises:
        ValueError: the file does not exist, or it is no PEM, or it holds no CA certificate.
    """

    given = "-----BEGIN" in text
    name = "this text" if given else show(text)
    pem = text if given else _read(text, "PEM file")
    if _PRIVATE.search(pem):
        raise ValueError(f"{name} holds a private key; write the certificate alone")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError(f"{name} is no PEM certificate; it must hold -----BEGIN CERTIFICATE-----") from None
    for certificate in certificates:
        try:
            authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            authority = certificate.version is x509.Version.v1  # roots from before extensions existed
        if not authority:
            subject = certificate.subject.rfc4514_string()
            raise ValueError(f"{name} holds {show(subject)}, which is no CA; write the CA that signed it")
    return pem if pem.endswith("\n") else pem + "\n"


def _is_path(text: str) -> bool:
    return text.endswith(".pub") or text.startswith(("/", "~", "./", "../"))


def _read(path: str, kind: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        raise ValueError(f"{show(path)} does not exist on this machine; write the path of a {kind}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{show(path)} is no text file; write the path of a {kind}") from None
    except OSError as error:
        raise ValueError(f"{show(path)} cannot be read ({error.strerror}); write the path of a {kind}") from None


CaCertificate = Annotated[str, AfterValidator(ca_certificates)]
