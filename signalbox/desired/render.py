"""Templates: templates/<task>/<destination name>.j2, rendered strictly."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from signalbox.shipped import shipped

TEMPLATES = shipped("templates")


def _compiled() -> FileSystemBytecodeCache:
    """Return where templates are kept compiled: beside them, as Python does with modules; checked by their hashes."""
    directory = TEMPLATES / "__pycache__"
    with suppress(OSError):  # where we may not write, they are compiled each time
        directory.mkdir(exist_ok=True)
    return FileSystemBytecodeCache(str(directory))


@cache
def _environment() -> Environment:
    # Nothing here is HTML; escaping would corrupt configuration files.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=_compiled(),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> str:
    """Return templates/<template>.j2 with `values`. Raises jinja2.UndefinedError for a name it was not given."""
    return _environment().get_template(f"{template}.j2").render(**values)
