"""Why a server does not answer, in fixed words that travel, and what each means; what a server sends is in none."""

from __future__ import annotations

WHY = {
    "name": "no IPv4 address is known by its name there",
    "refused": "it refuses connections",
    "timeout": "no answer in time",
    "slow": "it takes connections, and answers nothing in time",
    "route": "no way leads there",
    "certificate": "its certificate is signed by nobody who is known there",
    "certificate-expired": "its certificate has expired, or is not valid yet",
    "certificate-name": "its certificate is for another name than the url has",
    "no-http": "what it says is no HTTP",
}

OF_OPENSSL = {  # by the words in which it says so
    "certificate has expired": "certificate-expired",
    "certificate is not yet valid": "certificate-expired",
    "ostname mismatch": "certificate-name",
    "IP address mismatch": "certificate-name",
}


def of_a_certificate(words: str) -> str | None:
    """Return the word for what is wrong with a certificate, as an error tells it; None where it tells of none."""
    if "CERTIFICATE_VERIFY_FAILED" not in words:
        return None
    return next((word for said, word in OF_OPENSSL.items() if said in words), "certificate")
