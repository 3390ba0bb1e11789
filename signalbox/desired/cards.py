"""Pure: which build of a model server a host's cards can drive, and which step of its owner is missing.

Limits of drivers: CUDA 13 needs 580 (docs.nvidia.com/cuda/cuda-toolkit-release-notes), Blackwell 570; Debian 13 has
550.163.01. A driver is never installed here: it is the owner's, and wants a reboot.
"""

from __future__ import annotations

from dataclasses import dataclass

NVIDIA, AMD, INTEL = "10de", "1002", "8086"
_CUDA_DRIVER = 580
_MIB = 1 << 20


@dataclass(frozen=True)
class Card:
    """A card as nvidia-smi tells it; memory in MiB."""

    name: str
    driver: str
    memory: int


@dataclass(frozen=True)
class Cards:
    """What a host has: vendors of its display devices, device nodes, NVIDIA's module and cards, memory in MiB.

    nodes: of those that servers open, the ones that are there. module: version of NVIDIA's module that is loaded, ""
    for none. vulkan: whether a Vulkan driver is installed.
    """

    vendors: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    module: str = ""
    cards: tuple[Card, ...] = ()
    vulkan: bool = False
    memory: int = 0

    @property
    def renders(self) -> bool:
        """Whether a card can be reached that computes."""
        return any(node.startswith("/dev/dri/renderD") for node in self.nodes)


def variant_for(wanted: str, found: Cards) -> str:
    """Return cpu, vulkan, rocm or cuda: what is `wanted`, or for "auto" the fastest that works as the host is."""
    if wanted != "auto":
        return wanted
    if NVIDIA in found.vendors and not missing("cuda", found):
        return "cuda"
    if AMD in found.vendors and not missing("rocm", found):
        return "rocm"
    return "vulkan" if found.renders and found.vendors & {NVIDIA, AMD} else "cpu"


def missing(variant: str, found: Cards) -> list[str]:
    """Return what its owner has to do before this variant can use the cards; [] where it can."""
    if variant == "cuda":
        return _nvidia(found)
    if variant == "rocm":
        said = [] if AMD in found.vendors else ['there is no card of AMD\'s; write model_server.variant = "cpu"']
        if AMD in found.vendors and "/dev/kfd" not in found.nodes:
            said.append("AMD's card has no /dev/kfd: apt-get install firmware-amd-graphics (non-free-firmware), reboot")
        return said
    if variant == "vulkan" and not found.renders:
        return ["no card can be reached for Vulkan (no /dev/dri/renderD…); its driver is missing, or is not loaded"]
    return []


def _nvidia(found: Cards) -> list[str]:
    if NVIDIA not in found.vendors:
        return ['there is no card of NVIDIA\'s; write model_server.variant = "cpu", or "auto"']
    if not found.module:
        return [
            "NVIDIA's card has no driver that is loaded: install one (Debian's nvidia-driver of non-free is 550;"
            " CUDA 13 needs 580, from NVIDIA's own repository for Debian 13), with linux-headers-amd64, and reboot"
        ]
    said = []
    told = {card.driver for card in found.cards}
    if told and found.module not in told:
        said.append(f"NVIDIA's module is {found.module} and its programs {', '.join(sorted(told))}: reboot")
    if _major(found.module) < _CUDA_DRIVER:
        said.append(
            f"NVIDIA's driver is {found.module}, and this build of llama.cpp wants {_CUDA_DRIVER} (CUDA 13): take it"
            ' from NVIDIA\'s repository for Debian 13, or write model_server.variant = "vulkan"'
        )
    if "/dev/nvidia-uvm" not in found.nodes:
        said.append(
            "/dev/nvidia-uvm is missing, so CUDA would fail and the server run on the processor:"
            " apt-get install nvidia-modprobe, and have nvidia-uvm loaded at boot (/etc/modules-load.d)"
        )
    if "/dev/nvidia0" not in found.nodes:
        said.append("/dev/nvidia0 is missing: nvidia-smi makes it, or nvidia-persistenced at every boot")
    return said


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
