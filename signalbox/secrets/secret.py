"""A secret's value, and the error when there is none."""

from __future__ import annotations

import re
from typing import NoReturn

from pyinfra.api.exceptions import DeployError


class SecretError(DeployError):
    """A secret that cannot be had; the message says where it was looked for and never what it is."""


class Secret:
    """A secret value that shows itself to nobody by accident; `reveal()` is the one way to it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself, for the one place that hands it on."""
        return self.__value

    def problem(self) -> str | None:
        """What is wrong with it as a key or password, in words that do not tell it; None: nothing."""
        if not self.__value:
            return "is empty"
        if self.__value != self.__value.strip() or re.search(r"[\0\r\n]", self.__value):
            return "has white space around it or more than one line"
        return None

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.__value == self.__value

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret tells about it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written to files; hand on its name instead")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()
