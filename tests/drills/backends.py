"""The guides' eight set-ups of examples/, converged one after the other, and the same smoke test for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import requests

from signalbox.desired.routing import routing_table
from signalbox.settings import Settings
from signalbox.settings.layers import defaults, merge
from tests.drills import failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.examples import NAMES, example
from tests.lab import services, simulators
from tests.lab.instance import Lab

drill = Drill(
    "backends",
    "the guides' set-ups",
    "Eight inventories (each guide's own set-up among them: guide 1 options A, B and both; guide 2 with vLLM behind "
    "LiteLLM and with Mistral; guide 3's production recommendation; guide 4; guide 5 with llama.cpp) converge and pass "
    "the same smoke test.",
)

OTHER = lab_host("back")  # the host that the further set-ups follow each other on
SHARED = "guide1-claude-api"  # what the drills' converged host has anyway

# kind: how the simulated server of that kind calls itself, and its name in the lab
TITLES = {
    "lm_studio": ("LM Studio", "lmstudio"),
    "ollama": ("Ollama", "ollama"),
    "llama_cpp": ("llama.cpp", "llamacpp"),
    "vllm": ("vLLM", "vllm"),
    "anthropic": ("Anthropic", "anthropic"),
    "azure_foundry": ("Foundry", "foundry"),
    "mistral": ("Mistral", "mistral"),
}


def in_the_lab(name: str) -> dict[str, Any]:
    """The example's settings with the simulated servers' addresses in place of a person's."""
    lab = Lab.current()
    data = example(name)
    where = simulators.urls(lab.state / "services" / "simulators")
    shipped = defaults()
    for section in ("backends", "clouds"):
        for record, given in {**shipped[section], **data.get(section, {})}.items():
            each = merge(shipped[section].get(record, {}), given)
            if each.get("enabled") is not False:
                more = {"resource": None} if each["kind"] == "azure_foundry" else {}
                data = merge(data, {section: {record: {"url": where[TITLES[each["kind"]][1]], **more}}})
    return merge(services.lab_settings(), merge(data, _MODELS.get(name, {})))


# The simulated vLLM serves one model under its own name.
_MODELS = {"guide2-vllm": {"backends": {"vllm": {"models": {"local": {"id": "devstral"}}}}}}


def load_models(stage: Stage, settings: Settings) -> None:
    """Have each simulated server load its model with the context that the settings tell."""
    for several in routing_table(settings).groups.values():
        for record, model in several:
            _, server = TITLES[str(record.kind)]
            if record.name in settings.backends and "context_length" in stage.simulators.options(server):
                stage.simulators.options(server, context_length=model.context_length)


def typed(data: Mapping[str, Any]) -> Settings:
    """The settings as a deploy reads them."""
    return Settings.from_layers([("group_data/all.py", defaults()), ("all", data)], host=HOST)


def expected(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each lane that asks for a model, and how the server calls itself that must answer."""
    owners = {name: several[0] for several in routing_table(settings).groups.values() for name in several[0][1].names}
    for name, lane in settings.lanes.items():
        if lane.enabled and lane.via != "first-party":
            yield name, TITLES[str(owners[lane.models["main"]][0].kind)][0]


def smoke(host: str, settings: Settings) -> Figures:
    """Every lane says hello from its own server, and a tool call round-trips where the model is the lane's own."""
    figures = {}
    for lane, title in expected(settings):
        told = looks.answer(f"claude-{lane} -p 'say hello'", host=host)
        assert f"Hello from simulated {title} " in told, f"claude-{lane}: {told}"
        command = "--allowedTools Bash -p 'use the Bash tool to run `echo drill-$((6*7))`'"
        used = looks.answer(f"claude-{lane} {command}", host=host)
        assert f"simulated {title} " in used, f"claude-{lane}: {used}"
        assert "drill-42" in used, f"claude-{lane}: {used}"
        figures[f"claude-{lane}"] = f"{title}, tool call"
    assert figures, "no lane was asked"
    return figures


def _converge(stage: Stage, name: str) -> Figures:
    if OTHER not in Lab.current().hosts():
        stage.bare(OTHER)
    data = in_the_lab(name)
    settings = typed(data)
    load_models(stage, settings)
    site = stage.site(OTHER, settings=data)
    first = site.deploy().ok()
    figures = smoke(OTHER, settings)
    again = site.deploy().ok().changed(OTHER)
    assert again == [], again
    return {**figures, "deploy": f"{first.seconds:.0f} s", "second deploy": "no change"}


@drill.cell(SHARED, fixed=True)
def guide1_claude_api(stage: Stage) -> Figures:
    """Guide 1, option B: what the drills' host is converged to; each of its lanes is answered by its own server."""
    stage.converged()
    shared, ours = typed(services.lab_settings()), typed(in_the_lab(SHARED))
    for section in ("backends", "clouds", "gateway", "lanes"):
        assert getattr(shared, section) == getattr(ours, section), section
    figures = smoke(HOST, ours)

    def broken() -> None:
        with failures.fault(stage, "lmstudio", "500"):
            smoke(HOST, ours)

    return {**figures, "control": must_fail(broken, "the local server broken")}


# What Claude Code sends, or sends on behalf of another model, and a strict server refuses.
HELLO = {"role": "user", "content": "say hello"}
LATE = [HELLO, {"role": "assistant", "content": "Hello."}, {"role": "system", "content": "It is late."}, HELLO]
QUIRKS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a late system message": ({"messages": LATE}, {}),
    "adaptive thinking": ({"thinking": {"type": "adaptive"}}, {}),
    "effort xhigh": ({"output_config": {"effort": "xhigh"}}, {}),
    "effort max": ({"output_config": {"effort": "max"}}, {}),
    "an unknown beta": ({}, {"anthropic-beta": "nonesuch-2026-01-01"}),
    "a field of a beta": ({"context_management": {"edits": []}}, {"anthropic-beta": "context-management-2025-06-27"}),
}
STRICT = {"bearer": True, "models": {"foundry-claude-sonnet-4-6": {"adaptive_thinking": False}}}


@drill.cell("quirks")
def quirks(stage: Stage) -> Figures:
    """Foundry at its strictest, and haiku of the Claude API: what each refuses by itself, the gateway has answered."""
    stage.converged()
    stage.site(settings=merge(in_the_lab("guide1-both"), {"clouds": {"foundry": STRICT}})).deploy().ok()
    figures, at = {}, failures.urls(stage)
    for wants in ("x-api-key", "bearer"):
        with failures.options(stage, "foundry", wants=wants, adaptive=False):
            for name, (body, headers) in QUIRKS.items():
                status = _directly(
                    f"{at['foundry']}/anthropic", "FOUNDRY_API_KEY", "claude-sonnet-4-6", body, headers, wants
                )
                assert status == 400, f"{name}: Foundry itself answers {status}"
                (told,) = failures.ask("foundry-claude-sonnet-4-6", more=body, also=headers)
                assert "simulated Foundry" in told["text"], f"{name}, {wants}: {told}"
        figures[f"Foundry, {wants}"] = f"{len(QUIRKS)} of {len(QUIRKS)} answered; sent directly each is refused"
    body, headers = QUIRKS["a late system message"]
    status = _directly(at["anthropic"], "ANTHROPIC_DIRECT_KEY", failures.FALLBACK, body, headers)
    assert status == 400, f"the Claude API itself answers {status}"
    before = len(failures.audit())
    with failures.fault(stage, "lmstudio", "500"):
        (told,) = failures.ask("local", more=body)
    (line,) = failures.audited(before, 1)
    assert "simulated Anthropic" in told["text"], told
    assert (line["model"], line["status"]) == (failures.FALLBACK, 200), line
    figures["haiku in the place of local"] = "answered at once, one line in the audit; sent directly it is refused"
    stage.site().deploy().ok()
    return figures


def _directly(
    url: str, secret: str, model: str, body: Mapping[str, Any], headers: Mapping[str, str], wants: str = "x-api-key"
) -> int:
    """Return what the server itself answers to the same request, with its own key."""
    key = services.environment()[secret]
    own = {"authorization": f"Bearer {key}"} if wants == "bearer" else {"x-api-key": key}
    asked = {"model": model, "max_tokens": 100, "messages": [HELLO], **body}
    sent = {"anthropic-version": "2023-06-01", **headers, **own}
    return requests.post(f"{url}/v1/messages", json=asked, headers=sent, timeout=30).status_code


def _register(name: str) -> None:
    def body(stage: Stage) -> Figures:
        return _converge(stage, name)

    body.__doc__ = f"{name} converges; every lane is answered by its own server, with a tool call"
    drill.cell(name)(body)


for _name in NAMES:
    if _name != SHARED:
        _register(_name)
