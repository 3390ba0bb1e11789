"""Takes the certificates that curl and Node, and so Claude Code itself, take.

From 3.13 on Python asks more of a chain (RFC 5280: an Authority Key Identifier, basicConstraints marked critical),
which the CA of many a company or home does not have. Signed by a CA that is known here, for that name, and valid it
must be all the same.
"""

import ssl

from litellm.llms.custom_httpx import http_handler

# OpenSSL's numbers: X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
OF_A_CERTIFICATE = {9: "certificate-expired", 10: "certificate-expired", 62: "certificate-name", 64: "certificate-name"}
DEEP = 16  # errors around an error that are looked through


def why(error):
    """Return what is wrong with the certificate for which a connection failed, as a word; None: it was not that."""
    word = None
    for _ in range(DEEP):
        if isinstance(error, ssl.SSLCertVerificationError):  # aiohttp's is one too, with OpenSSL's own as its cause
            word = OF_A_CERTIFICATE.get(getattr(error, "verify_code", None), "certificate")
        error = error and (error.__cause__ or error.__context__)
    return word


def plain(context):
    """Return the SSL context without what Python asks beyond that."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def everywhere():
    """Have every context so: those that LiteLLM has made while it was loaded, and all that come."""
    make = ssl.create_default_context
    ssl.create_default_context = lambda *args, **named: plain(make(*args, **named))
    for context in http_handler._ssl_context_cache.values():
        plain(context)
