"""What goes wrong with a vault."""

from __future__ import annotations

from pathlib import Path

from signalbox.secrets.secret import SecretError


class VaultError(SecretError):
    """A vault file or its key that cannot be used; says what is wrong and what to do, and never a value."""

    def __init__(self, path: Path | str, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path, self.text = path, text

    def noting(self, note: str) -> VaultError:
        """The same with one thing more to know."""
        return VaultError(self.path, f"{self.text}; {note}")


class WrongKeyError(VaultError):
    """The key does not open the file."""
