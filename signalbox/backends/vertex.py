"""Claude in Google's Vertex AI: by a service account, whose key file is the secret, as JSON of one line."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.cloud import ResoldClaude
from signalbox.backends.kind import REFERENCE, Asked, Params
from signalbox.backends.records import Cloud, Model

TOKENS = "https://oauth2.googleapis.com"  # gives out what a service account asks with


class Vertex(ResoldClaude):
    account = "the Google Cloud project"
    provider = "vertex_ai"
    takes = frozenset({"region", "project"})

    called = "Vertex AI"
    offer = "Claude in Google's Vertex AI"
    key_question = Asked(
        id="key",
        words="The key file of your service account, as JSON of one line (not shown)",
        example="what `jq -c . key.json` prints",
        more="IAM, service accounts, keys: one with the role Vertex AI User.",
    )
    check_costs = "Vertex AI has no free question."

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        if record.region is None:
            yield "region", 'missing; write the region of your models, such as "us-east5" or "global"'
        if record.project is None:
            yield "project", "missing; write the id of your Google Cloud project"
        yield from self.strange(record)

    def base(self, record: Cloud) -> str:
        regional = "" if record.region == "global" else f"{record.region}-"
        return record.url or f"https://{regional}aiplatform.googleapis.com"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        return {
            "model": f"{self.provider}/{model.id}",
            "vertex_project": record.project,
            "vertex_location": record.region,
            "vertex_credentials": f"{REFERENCE}{record.secret}",
            **({"api_base": record.url} if record.url else {}),
        }

    def also_reaches(self, record: Cloud) -> tuple[str, ...]:  # noqa: ARG002
        return (TOKENS,)


KIND = Vertex()
