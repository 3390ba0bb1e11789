"""Asks a local model server whether it is there, and what it has loaded; bounded in time, bytes and nesting."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from ..shared import context
from . import tls

PATIENCE = 2.0  # seconds for a whole answer: one that takes longer is none
HELD = 1.25  # times PATIENCE: nothing here ran in time
TO_CONNECT = 0.75  # of them for a connection, which a server that computes takes all the same
MOST = 2 << 20  # bytes of a list of models
FAILED = (OSError, TimeoutError, aiohttp.ClientError, ValueError, RecursionError)
NUMBER = re.compile(r"\[Errno (\d+)\]")  # of each address, where a name has several
NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}
TLS = tls.plain(ssl.create_default_context())


@contextlib.asynccontextmanager
async def asked(
    url: str, headers: Mapping[str, str] | None = None, body: object = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask, and give the answer once its head is there; one of FAILED: there is none in time."""
    # Each time anew: a connection that was kept tells nothing of a machine that is off.
    connector = aiohttp.TCPConnector(ssl=TLS, force_close=True)
    within = aiohttp.ClientTimeout(connect=PATIENCE * TO_CONNECT)
    client = aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=within)
    async with asyncio.timeout(PATIENCE), client as session:
        plain = {**(headers or {}), "Accept-Encoding": "identity"}
        verb = "GET" if body is None else "POST"
        async with session.request(verb, url, json=body, headers=plain, allow_redirects=False) as answer:
            yield answer


async def answers(url: str) -> int | str:
    """Return the HTTP status with which a server answers: even a 401 comes from one that is there.

    Where nothing comes, why: a word of reasons.py; "slow" from one that may be busy.
    """
    for _ in range(2):
        began = time.monotonic()
        try:
            async with asked(url) as answer:
                return answer.status
        except FAILED as error:
            word = why(error)
        if word not in ("timeout", "slow") or time.monotonic() - began < PATIENCE * HELD:
            break  # else whoever held this process, as LiteLLM does at its first request, has held the answer too
    return word


def why(error: BaseException) -> str:
    """Return the word for what came of a connection."""
    if isinstance(error, TimeoutError):
        return "timeout" if isinstance(error, aiohttp.ServerTimeoutError) else "slow"
    if of_a_certificate := tls.why(error):
        return of_a_certificate
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name"
    numbers = {getattr(error, "errno", None), *map(int, NUMBER.findall(str(error)))}
    # One that refuses is there, at whichever of its addresses.
    return "refused" if errno.ECONNREFUSED in numbers else "route" if numbers & NO_WAY else "no-http"


async def loaded(reading: dict[str, Any]) -> int | None:
    """Return with how many tokens a server says that its model is loaded; None: it does not say."""
    return context.loaded(await told(reading), reading)


async def sees(sight: dict[str, Any]) -> bool | None:
    """Return whether a server says that its model sees images; None: it does not say."""
    return context.sees(await told(sight), sight)


async def told(what: Mapping[str, Any]) -> Any:
    """Return the JSON that a server answers to a reading or a sight; None: nothing useful."""
    token = os.environ.get(what["secret"] or "")
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else None
        async with asked(what["url"], headers, what.get("body")) as answer:
            if answer.status != 200:
                return None
            said = bytearray()
            async for piece in answer.content.iter_chunked(1 << 16):
                said += piece
                if len(said) > MOST:
                    return None
            return json.loads(said)
    except FAILED:
        return None
