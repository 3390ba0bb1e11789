"""Takes the certificates that curl and Node, and so Claude Code itself, take.

From 3.13 on Python asks more of a chain (RFC 5280: an Authority Key Identifier, basicConstraints marked critical),
which the CA of many a company or home does not have. Signed by a CA that is known here, for that name, and valid it
must be all the same.
"""

from __future__ import annotations

import contextlib
import ssl

from litellm.llms.custom_httpx import http_handler

from ..shared import reasons

DEEP = 32  # errors around an error that are looked through


def why(error: BaseException) -> str | None:
    """Return what is wrong with the certificate for which a connection failed, as a word of reasons.py; None: nothing.

    LiteLLM puts an error into others, of which some hold its words and some lead to it.
    """
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left and len(seen) < DEEP:
        each = left.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        with contextlib.suppress(RecursionError, ValueError):  # as it is put into words
            if word := reasons.of_a_certificate(str(each)):
                return word
        left += [each.__context__, each.__cause__]
    return None


def plain(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return the SSL context without what Python asks beyond that."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def everywhere() -> None:
    """Have every context so: those that LiteLLM has made while it was loaded, and all that come."""
    make = ssl.create_default_context
    ssl.create_default_context = lambda *args, **named: plain(make(*args, **named))
    for context in http_handler._ssl_context_cache.values():
        plain(context)
