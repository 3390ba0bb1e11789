"""Claude in Azure AI Foundry: a model's id is the name of its deployment."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Params, key
from signalbox.backends.records import Cloud, CloudModel, Model


class AzureFoundry(CloudKind):
    account = "the Azure subscription"

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        if record.resource is None and record.url is None:
            yield "resource", 'missing; write the resource\'s name, such as "myfoundry"'
        if record.resource is not None and record.url is not None:
            yield (
                "url",
                "azure_foundry is found by its resource; write None here, or None there for a gateway of your own",
            )

    def base(self, record: Cloud) -> str:
        # No trailing slash and no /v1/messages: LiteLLM appends its own path.
        return f"{record.url or f'https://{record.resource}.services.ai.azure.com'}/anthropic"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        # LiteLLM takes an azure_ai deployment for a Claude by that word in its name alone; any other would be asked at
        # /chat/completions, where Foundry has no Claude.
        provider = "azure_ai" if "claude" in str(model.id).lower() else "anthropic"
        return {"model": f"{provider}/{model.id}", "api_base": self.base(record), **key(record.secret)}

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:
        # Of the first guide's known issues; adaptive thinking is refused by some deployments alone.
        options = {"thinking": not model.adaptive_thinking, "x-api-key": record.bearer}
        return ["late_system", "efforts", "betas", *(word for word, refused in options.items() if refused)]


KIND = AzureFoundry()
