"""Claude in Amazon Bedrock, by a Bedrock API key or an AWS access key; ids are those of inference profiles."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.cloud import ResoldClaude
from signalbox.backends.kind import REFERENCE, Asked, Params
from signalbox.backends.records import Cloud, Model
from signalbox.fields.messages import show


class Bedrock(ResoldClaude):
    account = "the AWS account"
    provider = "bedrock"
    takes = frozenset({"region", "access_key_id"})

    called = "Bedrock"
    offer = "Claude in Amazon Bedrock"
    key_question = Asked(
        id="key",
        words="Your Bedrock API key (not shown)",
        example="what the console of Bedrock shows once under API keys",
        more="Or the secret half of an AWS access key, whose id is the secret that access_key_id names.",
    )
    check_costs = "Bedrock has no free question."

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        if record.region is None:
            yield "region", 'missing; write the AWS region of your models, such as "us-east-1"'
        for model in record.models.values():
            if model.id and model.id.startswith("anthropic."):  # anthropics/claude-code/issues/110
                profile = show(f"us.{model.id}")
                said = f"{show(model.id)} is not sold on demand; write an inference profile's id, such as {profile}"
                yield f"models.{model.name}.id", said
        yield from self.strange(record)

    def base(self, record: Cloud) -> str:
        return record.url or f"https://bedrock-runtime.{record.region}.amazonaws.com"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        where = {"aws_bedrock_runtime_endpoint": self.base(record), "aws_region_name": record.region}
        secret = f"{REFERENCE}{record.secret}"
        key = {"aws_access_key_id": f"{REFERENCE}{record.access_key_id}", "aws_secret_access_key": secret}
        return {
            "model": f"{self.provider}/{model.id}",
            **where,
            **(key if record.access_key_id else {"api_key": secret}),
        }


KIND = Bedrock()
