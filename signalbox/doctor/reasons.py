"""Why a server does not answer, in fixed words that travel, and what each means; what a server sends is in none."""

WHY = {
    "name": "no IPv4 address is known by its name there",
    "refused": "it refuses connections",
    "timeout": "no answer in time",
    "route": "no way leads there",
    "certificate": "its certificate is signed by nobody who is known there",
    "certificate-expired": "its certificate has expired, or is not valid yet",
    "certificate-name": "its certificate is for another name than the url has",
    "no-http": "what it says is no HTTP",
}
