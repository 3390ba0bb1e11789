"""All questions, in their order."""

from __future__ import annotations

from signalbox.init import about_clouds, about_host, about_models, about_network, about_project

_CLOUD, *_ACCOUNTS = about_clouds.QUESTIONS
QUESTIONS = (
    *about_host.QUESTIONS,
    *about_models.QUESTIONS,
    _CLOUD,
    *about_network.QUESTIONS,  # before the keys, which may be tried through a gateway of one's own
    *_ACCOUNTS,
    *about_project.QUESTIONS,
)
