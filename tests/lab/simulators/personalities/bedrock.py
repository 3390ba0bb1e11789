"""Amazon Bedrock's runtime, for Claudes: /model/ID/invoke and /invoke-with-response-stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html. A body has no model and no stream;
a stream is AWS's event stream, of which each event holds one of Anthropic's in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.lab.simulators.personalities import anthropic_rules as rules
from tests.lab.simulators.personalities.anthropic_cloud import AnthropicCloud
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

API_KEY = "bedrock-api-key-lab-0000-accepted-by-the-simulated-bedrock"
ACCESS_KEY = "AKIALAB0000000000000"  # of an access key, whose signatures are not verified
MODEL = "us.anthropic.claude-sonnet-4-6"
BETAS = {"interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14", "context-1m-2025-08-07"}
# kind: status, AWS's name of the error, message
ERRORS: dict[str, tuple[int, str, str]] = {
    "401": (403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid."),  # assumed
    "402": (429, "ThrottlingException", "Too many tokens per day, please wait before trying again."),
    "quota": (429, "ThrottlingException", "Too many tokens per day, please wait before trying again."),
    "429": (
        429,
        "ThrottlingException",
        "Too many tokens, please wait before trying again.",
    ),  # anthropics/claude-code#1466
    "500": (500, "InternalServerException", "The system encountered an unexpected error during processing."),
    "503": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "529": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "overflow": (400, "ValidationException", "Input is too long for requested model."),
}


class Bedrock(AnthropicCloud):
    name = "bedrock"
    port = 8088
    title = "Bedrock"
    models = tuple(replace(model, id=f"us.anthropic.{model.id}") for model in rules.MODELS)
    aliases: Mapping[str, str] = {}
    key = API_KEY

    def handle(self, call: Call) -> Answer:
        asked = re.fullmatch(r"/model/([^/]+)/(invoke|invoke-with-response-stream)", call.path)
        if not asked or call.method != "POST":
            raise Refused(_error(404, "UnknownOperationException", "Not Found"))
        signed = call.headers.get("authorization", "")
        if call.credential != API_KEY and f"Credential={ACCESS_KEY}/" not in signed:
            raise Refused(self.failure(call, "401", 0))
        streams = asked[2] != "invoke"
        given = super().handle(self._plain(call, asked[1], stream=streams))
        if given.events is not None:
            return Answer(events=_framed(given.events), content_type="application/vnd.amazon.eventstream")
        if given.status >= 400:
            raise Refused(_error(given.status, "ValidationException", given.body["error"]["message"]))
        return Answer(given.status, given.body)

    def _plain(self, call: Call, model: str, *, stream: bool) -> Call:
        """The call as the Claude API would get it."""
        try:
            body = call.json
        except ValueError:
            raise Refused(_error(400, "ValidationException", "The request body is not valid JSON.")) from None
        if model.startswith("anthropic."):  # anthropics/claude-code#110
            said = (
                f"Invocation of model ID {model} with on-demand throughput isn\u2019t supported. Retry your request "
                "with the ID or ARN of an inference profile that contains this model."
            )
            raise Refused(_error(400, "ValidationException", said))
        for name in ("model", "stream"):
            if name in body:
                raise Refused(_error(400, "ValidationException", f"{name}: Extra inputs are not permitted"))
        if body.pop("anthropic_version", None) != "bedrock-2023-05-31":
            raise Refused(_error(400, "ValidationException", "anthropic_version: Field required"))
        if set(body.pop("anthropic_beta", None) or ()) - BETAS:
            raise Refused(_error(400, "ValidationException", "invalid beta flag"))  # BerriAI/litellm#16561
        headers = {"x-api-key": API_KEY, "anthropic-version": "2023-06-01", "content-type": "application/json"}
        data = json.dumps({**body, "model": model, "stream": stream}).encode()
        return replace(call, path="/v1/messages", headers=headers, body=data)

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        return _error(*ERRORS[kind])

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:  # noqa: ARG002
        _, name, message = ERRORS[kind]
        headers = {":exception-type": name[0].lower() + name[1:], ":content-type": "application/json",
                   ":message-type": "exception"}  # fmt: skip
        return frame(headers, json.dumps({"message": message}).encode())


def _error(status: int, name: str, message: str) -> Answer:
    return Answer(status, {"message": message}, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"})


def _framed(events: Iterator[bytes]) -> Iterator[bytes]:
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    for event in events:
        data = re.search(rb"^data: (.*)$", event, re.MULTILINE)
        if data:
            yield frame(headers, json.dumps({"bytes": base64.b64encode(data[1]).decode()}).encode())


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message of AWS's event stream: lengths, headers and payload, each part with its checksum."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", binascii.crc32(message))
