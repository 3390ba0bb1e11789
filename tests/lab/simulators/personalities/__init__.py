"""The simulated vendors, by the name that settings give them. A further vendor is one more module here."""

from __future__ import annotations

from tests.lab.simulators.personalities.anthropic_cloud import AnthropicCloud
from tests.lab.simulators.personalities.azure_foundry import AzureFoundry
from tests.lab.simulators.personalities.bedrock import Bedrock
from tests.lab.simulators.personalities.deepseek import DeepSeek
from tests.lab.simulators.personalities.gemini import Gemini
from tests.lab.simulators.personalities.llama_cpp import LlamaCpp
from tests.lab.simulators.personalities.lm_studio import LMStudio
from tests.lab.simulators.personalities.mistral import Mistral
from tests.lab.simulators.personalities.ollama import Ollama
from tests.lab.simulators.personalities.open_webui import OpenWebUI
from tests.lab.simulators.personalities.openai import OpenAI
from tests.lab.simulators.personalities.openrouter import OpenRouter
from tests.lab.simulators.personalities.searxng import SearXNG
from tests.lab.simulators.personalities.vertex import Vertex
from tests.lab.simulators.personalities.vllm import VLLM
from tests.lab.simulators.protocol import Personality


def personalities() -> list[Personality]:
    """A fresh one of each."""
    servers = [LMStudio(), Ollama(), LlamaCpp(), VLLM(), OpenWebUI(), AnthropicCloud(), AzureFoundry(), Mistral()]
    clouds = [OpenAI(), Gemini(), OpenRouter(), DeepSeek(), Bedrock(), Vertex()]
    return [*servers, *clouds, SearXNG()]
