"""GPU: what a model host's cards can drive. Looks only: a driver is its owner's."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra import host

from signalbox.desired.cards import Cards, missing, variant_for
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail, remark, warn
from signalbox.facts.cards import CardsFound
from signalbox.settings.sections.model_server import ModelServer


@dataclass(frozen=True)
class Gpu:
    """What the server is built for (cpu, vulkan, rocm or cuda), and the cards as they are."""

    variant: str = "cpu"
    found: Cards = field(default_factory=Cards)


def gpu_of(settings: ModelServer) -> Gpu:
    """Return what the server of this host shall be built for."""
    if not settings.enabled:
        return Gpu()
    found: Cards = host.get_fact(CardsFound)
    return Gpu(variant_for(settings.variant, found), found)


@deploy("GPU")
def gpu(settings: ModelServer, chosen: Gpu) -> None:
    """Say which step of its owner's a card is waiting for; without it the server would run on the processor."""
    if not settings.enabled:
        return
    problems = missing(chosen.variant, chosen.found)
    if settings.variant != "auto":
        fail(problems)
        return
    for vendor, variant in (("10de", "cuda"), ("1002", "rocm")):
        if vendor in chosen.found.vendors and chosen.variant != variant:
            for words in missing(variant, chosen.found):
                warn(f"{words}; until then the model runs on {chosen.variant}")
    for card in chosen.found.cards:
        remark(f"{card.name}, {card.memory} MiB, driver {card.driver}")
