"""Who signed LiteLLM's image: what `signalbox pin` makes of what a cosign says that stands in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signalbox.pins import PinError, signature

DIGEST = f"sha256:{'a' * 64}"
MIRROR = "mirror.lan/berriai/litellm"


def cosign(directory: Path, monkeypatch: pytest.MonkeyPatch, good: str) -> Path:
    """Place a cosign that takes what this shell pattern has of its words; return where it notes what it was asked."""
    log = directory / "asked"
    program = directory / "cosign"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in\n{good}) echo verified ;;\n'
        "*) printf 'Error: no matching signatures\\033[31m\\n' >&2; exit 10 ;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return log


@pytest.mark.parametrize(
    ("good", "asked"),
    [
        (f"*--certificate-identity*/release.yml@refs/heads/main*{MIRROR}@{DIGEST}", 1),
        (f"*--key*{MIRROR}@{DIGEST}", 2),  # of an earlier release
        (f"*--certificate-identity*ghcr.io/berriai/litellm@{DIGEST}", 3),  # a mirror without signatures
    ],
)
def test_a_signature_of_its_makers_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: str, asked: int
) -> None:
    log = cosign(tmp_path, monkeypatch, good)
    assert signature.unchecked(MIRROR, DIGEST) == ""
    lines = log.read_text().splitlines()
    assert len(lines) == asked
    assert all(line.startswith("verify ") and line.endswith(f"@{DIGEST}") for line in lines)  # and no tag


def test_an_image_that_nobody_signed_is_not_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cosign(tmp_path, monkeypatch, "nothing")
    with pytest.raises(
        PinError, match="no signature of LiteLLM's makers on it \\(Error: no matching signatures"
    ) as told:
        signature.unchecked(MIRROR, DIGEST)
    assert "\033" not in str(told.value)


def test_without_cosign_it_is_said_that_nothing_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no cosign here" in signature.unchecked(MIRROR, DIGEST)
