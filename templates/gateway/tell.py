"""Tells at /signalbox/models which deployments there are, and with how much context each is loaded. Needs no key."""

import json

PATH = "/signalbox/models"


def around(application, loaded):
    """Return the web application with this path. loaded: gives tokens or None for each deployment's id."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(loaded()).encode()})

    return serve
