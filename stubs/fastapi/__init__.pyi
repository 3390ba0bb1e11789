from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

# starlette 1.10.0: starlette/applications.py
class FastAPI:
    middleware_stack: (
        Callable[
            [
                MutableMapping[str, Any],
                Callable[[], Awaitable[MutableMapping[str, Any]]],
                Callable[[MutableMapping[str, Any]], Awaitable[None]],
            ],
            Coroutine[Any, Any, None],
        ]
        | None
    )

# fastapi 0.165.0: fastapi/exceptions.py
class HTTPException(Exception):
    def __init__(self, status_code: int, detail: Any = None) -> None: ...

# starlette 1.10.0: starlette/requests.py
class Request: ...
