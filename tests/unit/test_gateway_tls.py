"""Which certificates the gateway and the doctor take, and what they say of others: real handshakes.

Python 3.13 alone refuses what companies' proxies and homes' CAs sign: python/cpython #107361 and #138193,
python-poetry/install.python-poetry.org #145, OpenVPN/easy-rsa #1418, sgallagher/sscg #74, llnl/certipy #23,
uyuni-project/uyuni #12057, lsst-sqre/strimzi-registry-operator #129, IONOS-Core/dim #284, kchiem/pia-wg #6.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.shared import reasons, within
from tests.lab.certificates import Authority, server_context
from tests.unit.gateway_plugins import plugins as plugins

EXPIRED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1029)"
ANSWER = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def served(certificate: Path, ask: Callable[[str], Awaitable[Any]]) -> Any:
    """Have a server with this certificate, and return what `ask` makes of its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def go() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(certificate))
        async with server:
            return await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/models")

    return asyncio.run(go())


def strict(authority: Authority) -> ssl.SSLContext:
    """Return a context as Python 3.13 makes it."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def probed(plugins: Any, monkeypatch: pytest.MonkeyPatch, certificate: Path, context: ssl.SSLContext) -> Any:
    monkeypatch.setattr(plugins.probe, "TLS", context)
    return served(certificate, plugins.probe.answers)


def test_a_plainly_made_certificate_is_taken(plugins: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path, plain=True)
    certificate = authority.certificate("127.0.0.1")
    assert probed(plugins, monkeypatch, certificate, strict(authority)) == "certificate"  # as it was
    assert probed(plugins, monkeypatch, certificate, plugins.tls.plain(strict(authority))) == 401


@pytest.mark.parametrize(
    ("names", "days_ago", "told"),
    [
        (["127.0.0.1"], 0, 401),
        (["127.0.0.1"], 3, "certificate-expired"),
        (["127.0.0.2"], 0, "certificate-name"),
        (["box.lan"], 0, "certificate-name"),
    ],
)
@pytest.mark.parametrize("made_plainly", [False, True])
def test_what_is_wrong_with_a_certificate_is_told(
    plugins: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: list[str],
    days_ago: int,
    told: Any,
    made_plainly: bool,
) -> None:
    authority = Authority(tmp_path, plain=made_plainly)
    certificate = authority.certificate(*names, days_ago=days_ago)
    assert probed(plugins, monkeypatch, certificate, plugins.tls.plain(strict(authority))) == told
    assert told == 401 or told in reasons.WHY
    elsewhere = ssl.create_default_context()  # which does not know this CA
    assert probed(plugins, monkeypatch, certificate, elsewhere) in ("certificate", told)


def test_contexts_that_litellm_has_and_will_have_are_plain(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ssl.create_default_context()
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    monkeypatch.setattr(plugins.tls.http_handler, "_ssl_context_cache", {"one": made})

    def as_python_3_13() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_python_3_13)
    plugins.tls.everywhere()
    for context in (made, ssl.create_default_context()):
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_the_cause_is_found_within_what_litellm_makes_of_it(plugins: Any) -> None:
    def raised() -> None:
        try:
            try:
                raise ssl.SSLCertVerificationError(1, EXPIRED)
            except OSError as error:
                raise RuntimeError("Connection error.") from error
        except RuntimeError:
            raise ValueError("InternalServerError: Connection error.")  # noqa: B904 (as LiteLLM does)

    with pytest.raises(ValueError, match="Internal") as told:
        raised()
    assert plugins.tls.why(told.value) == "certificate-expired"
    assert plugins.tls.why(ValueError("Connection error.")) is None
    # What it made of an Anthropic server's, with nothing that leads to the error itself.
    told_whole = ValueError(f"AnthropicException - Cannot connect to host 198.18.4.1:41313 ssl:True [{EXPIRED}]")
    assert plugins.tls.why(told_whole) == "certificate-expired"
    told_whole.__cause__ = told_whole.__context__ = told_whole  # in a circle
    assert plugins.tls.why(told_whole) == "certificate-expired"


def test_the_doctor_and_the_launchers_take_what_the_gateway_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, plain=True)
    as_python_3_13 = strict(authority)
    monkeypatch.setattr(ssl, "create_default_context", lambda: as_python_3_13)
    within._opener.cache_clear()

    async def ask(url: str) -> int:
        return (await asyncio.to_thread(within.fetched, urllib.request.Request(url), 5.0))[0]  # noqa: S310

    try:
        assert served(authority.certificate("127.0.0.1"), ask) == 401
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            served(authority.certificate("127.0.0.2"), ask)
    finally:
        within._opener.cache_clear()
