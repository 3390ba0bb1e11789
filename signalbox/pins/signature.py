"""Who signed LiteLLM's image, checked with cosign where that is at hand: https://docs.sigstore.dev/cosign/.

Its releases tell how: newreleases.io/project/github/BerriAI/litellm, of 1.108.9 (a key) and 1.108.11 (keyless).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

from signalbox.host.shared.output import shown
from signalbox.pins.errors import PinError
from signalbox.pins.resolve import Found

OFFICIAL = "ghcr.io/berriai/litellm"
# By its maker's workflow from 1.108.10 on, before that by the key that took over with 1.104.6.
SIGNERS = (
    (
        "--certificate-identity",
        "https://github.com/BerriAI/project-releaser/.github/workflows/release.yml@refs/heads/main",
        "--certificate-oidc-issuer",
        "https://token.actions.githubusercontent.com",
    ),
    ("--key", "https://raw.githubusercontent.com/BerriAI/litellm/e82a3c646908ba0a6ee0beddc4310d7a6cac4065/cosign.pub"),
)
PATIENCE = 60  # seconds for one check


def of_each(found: Iterable[Found], repository: str) -> list[str]:
    """Check the image among what was resolved, if it is; return what is to be said. Raises PinError as below."""
    images = [one for one in found if one.path == ("litellm", "digest")]
    return [unchecked(repository, one.new) or "LiteLLM's image is signed by its makers" for one in images]


def unchecked(repository: str, digest: str) -> str:
    """Check who signed an image; return why that was not done, "" when it was and is well.

    Raises:
        PinError: cosign finds no signature of its maker's on it, at the repository or at the official one.
    """
    cosign = shutil.which("cosign")
    if not cosign:
        return "the signature of LiteLLM's image was not checked: there is no cosign here"
    said = ""
    for place in dict.fromkeys((repository, OFFICIAL)):  # a mirror may have the image without its signatures
        for signer in SIGNERS:
            words = (cosign, "verify", *signer, f"{place}@{digest}")
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                said = said or type(error).__name__
                continue
            if done.returncode == 0:
                return ""
            said = said or shown((done.stderr.strip().splitlines() or ["it says nothing"])[-1])[:200]
    raise PinError(
        f"{repository}@{digest[:19]}…: cosign finds no signature of LiteLLM's makers on it ({said}); do not use it, or "
        "copy its signatures to your mirror with `cosign copy`"
    )
