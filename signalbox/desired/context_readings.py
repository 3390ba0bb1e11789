"""From settings to what is asked of the model servers about the context that they have loaded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from signalbox.backends import reading_of
from signalbox.backends.records import Backend, BackendModel
from signalbox.desired.routing import Deployment, Routing
from signalbox.settings import Settings

Reading = dict[str, Any]  # see signalbox/host/shared/context.py, which judges the answer


def readings(settings: Settings, routing: Routing) -> tuple[Reading, ...]:
    """Return a reading for each model on the person's own network whose server can tell.

    Only the gateway's requests bring a context along: what a direct lane asks too must be loaded with enough of it.
    """
    direct = {
        model
        for lane in settings.lanes.values()
        if lane.enabled and lane.via == "direct"
        for model in lane.models.values()
    }
    return tuple(
        reading if direct.isdisjoint(each.model.names) else {**reading, "on_demand": False}
        for each in routing.deployments
        for reading in of_deployments([each])
    )


def of_deployments(deployments: Iterable[Deployment]) -> Iterator[Reading]:
    """Yield the readings of these models."""
    for record, model in deployments:
        if not isinstance(record, Backend) or not record.own or not isinstance(model, BackendModel):
            continue
        reading = reading_of(record, model)
        if reading is not None:
            yield reading
