"""HTTP for pins: trusts what the machine trusts and the CA certificates of the settings."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from signalbox.pins.errors import PinError

_TIMEOUT = (10, 30)  # seconds: to connect, and between two pieces of an answer
_CHUNK = 1 << 20  # bytes


class Web:
    """A requests session; use as a context manager.

    Args:
        ca_certificates: PEM texts to trust beside the machine's own.
    """

    def __init__(self, ca_certificates: Iterable[str] = ()) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="signalbox-")
        bundle = Path(self._directory.name) / "ca.pem"
        bundle.write_text("\n".join([_machine_ca(), *ca_certificates]), encoding="utf-8")
        self._bundle = str(bundle)
        self._session = requests.Session()
        retry = Retry(total=2, backoff_factor=0.5, status_forcelist=(502, 503, 504), raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        self._directory.cleanup()

    def get(self, url: str, headers: Mapping[str, str] | None = None, stream: bool = False) -> requests.Response:
        """The answer to a GET, whatever its status.

        Raises:
            PinError: there was none.
        """
        return self._ask("GET", url, headers=dict(headers or {}), stream=stream)

    def post(self, url: str, headers: Mapping[str, str], body: Any) -> requests.Response:
        """The answer to a POST of JSON, whatever its status.

        Raises:
            PinError: there was none.
        """
        return self._ask("POST", url, headers=dict(headers), json=body)

    def _ask(self, method: str, url: str, **more: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=_TIMEOUT, verify=self._bundle, **more)
        except requests.exceptions.SSLError as error:
            raise PinError(
                f"{url}: its certificate is not trusted ({_reason(error)}); "
                "name the CA that signed it in extra_ca_certificates"
            ) from error
        except requests.RequestException as error:
            raise PinError(
                f"{url}: no answer ({_reason(error)}); check the network, the proxy and the address in mirrors"
            ) from error

    def text(self, url: str, what: str) -> str:
        """The body of a GET that must succeed; `what` is told when it does not."""
        return self._good(self.get(url), what).text

    def digest(self, url: str, algorithm: str, what: str, progress: Callable[[int, int], None]) -> bytes:
        """Download and hash, keeping nothing.

        Args:
            algorithm: of hashlib, such as "sha256".
            progress: called with the bytes so far and in all (0: unknown).
        """
        with self._good(self.get(url, stream=True), what) as answer:
            total, done, hashed = int(answer.headers.get("Content-Length", 0)), 0, hashlib.new(algorithm)
            try:
                for chunk in answer.iter_content(_CHUNK):
                    hashed.update(chunk)
                    done += len(chunk)
                    progress(done, total)
            except requests.RequestException as error:
                raise PinError(f"{url}: broke off after {done} bytes ({_reason(error)}); try again") from error
        return hashed.digest()

    @staticmethod
    def _good(answer: requests.Response, what: str) -> requests.Response:
        if answer.status_code != 200:
            raise PinError(f"{answer.url}: answers {answer.status_code}; is {what} there?")
        return answer


def _machine_ca() -> str:
    """The PEM bundle that this machine trusts; certifi's where it has none."""
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    for file in (*named, ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if file and Path(file).is_file():
            return Path(file).read_text(encoding="utf-8")
    return Path(certifi.where()).read_text(encoding="ascii")


def _reason(error: BaseException) -> str:
    """The innermost cause, which is the one that tells."""
    while (inner := error.__cause__ or error.__context__ or _inner(error)) is not None:
        error = inner
    return str(error) or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return reason if isinstance(reason, BaseException) else None
