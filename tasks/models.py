"""Models: whether they fit; their files, proven; what nobody wants any more is named, and deleted where that is set."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired.model_memory.fit import Room, misfit, told
from signalbox.desired.model_memory.from_gguf import shape_of
from signalbox.desired.model_memory.need import MIB, Wish, need_of
from signalbox.desired.model_memory.shape import UnknownError
from signalbox.desired.model_server import ModelFile
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail, remark, warn
from signalbox.facts.cards import ModelFiles
from signalbox.facts.model_heads import ModelHead, ModelHeads
from signalbox.operations import directories, model_file, models_gone
from signalbox.operations.placed import manifest_now
from signalbox.settings.sections.model_server import ModelServer, ServedModel

from .gpu import Gpu


@deploy("Models")
def models(settings: ModelServer, wanted: tuple[ModelFile, ...], gpu: Gpu) -> None:
    """Have the files of the `wanted` models on the host, once it is known that they fit what the host has."""
    paths = tuple(each.path for each in wanted)
    if settings.enabled:
        fail(_misfits(settings, wanted, gpu))
        directories(name=f"{settings.directory} exists", paths=[settings.directory])
        for each in wanted:
            model_file(
                name=f"{each.path.rsplit('/', 1)[1]} is the model that is pinned",
                path=each.path,
                checksum=each.sha256,
                url=each.url,
                together=paths,
            )
    left = [entry.id for entry in manifest_now().entries if entry.kind == "model" and entry.id not in paths]
    # One that its owner has put somewhere is never deleted.
    ours = [path for path in left if path.startswith(f"{settings.directory}/")]
    if settings.prune:
        models_gone(name="no model is left that nobody wants", paths=ours)
    elif ours:
        remark(f"nobody wants {', '.join(ours)} any more; model_server.prune = True deletes such files")


def _misfits(settings: ModelServer, wanted: tuple[ModelFile, ...], gpu: Gpu) -> list[str]:
    """Return what is wrong with models that are not on the host yet; say what those need that fit."""
    there = host.get_fact(ModelFiles, paths=tuple(each.path for each in wanted)) if wanted else {}
    new = {
        name: (model, each)
        for (name, model), each in zip(settings.models.items(), wanted, strict=True)
        if there.get(each.path, ("", ""))[1] != f"{each.sha256} {there.get(each.path, ('', ''))[0]}"
    }
    sources = tuple(each.url or each.path for _, each in new.values())
    heads = host.get_fact(ModelHeads, sources=sources) if sources else {}
    problems = []
    for name, (model, each) in new.items():
        head = heads.get(each.url or each.path)
        if head and (said := _misfit(model, head, gpu)):
            problems.append(f"model_server.models.{name}: {said}")
    return problems


def _misfit(model: ServedModel, read: ModelHead, gpu: Gpu) -> str | None:
    wish = Wish(model.context_length, model.parallel, model.kv_type)
    cards = tuple(card.memory * MIB for card in gpu.found.cards) if gpu.variant == "cuda" else ()
    if read.head is None or not read.size:
        warn(f"{model.name}: whether it fits is not known: {read.problem or 'its size is not told'}")
        return None
    try:
        shape = shape_of(read.head)
    except UnknownError as error:
        warn(f"{model.name}: whether it fits is not known: {error}")
        return None
    if gpu.variant in ("rocm", "vulkan"):
        remark(f"{model.name} needs {told(need_of(shape, read.size, wish), wish)}; what its card has is not known")
        return None
    # A wish for fewer layers on the card is its owner's own calculation.
    if model.gpu_layers is None and (said := misfit(shape, read.size, wish, Room(cards, gpu.found.memory * MIB))):
        return said
    remark(f"{model.name} needs {told(need_of(shape, read.size, wish), wish)}")
    return None
