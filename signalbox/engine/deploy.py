"""pyinfra's @deploy, with the types that its calls have."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, cast

from pyinfra import api

P = ParamSpec("P")
Deploy = Callable[P, None]


def deploy(name: str) -> Callable[[Deploy[P]], Deploy[P]]:
    """Return pyinfra's decorator of this name.

    pyinfra 3.10 declares its global arguments, such as _sudo, before a deploy's own: a type checker takes the first of
    these for that. A call takes them by name, from `Settings.privileges`.
    """
    return cast("Callable[[Deploy[P]], Deploy[P]]", api.deploy(name))
