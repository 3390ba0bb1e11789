"""Tells without a key, at /signalbox/models, which deployments there are, and with how much context each is loaded;

and at /signalbox/servers whether each server on one's own network answers: from here, which is not from the host.
"""

import json


def around(application, told):
    """Return the web application with these paths. told: by path, what gives that which is told as JSON."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or scope["path"] not in told:
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told[scope["path"]]()).encode()})

    return serve
