"""All questions, in their order."""

from __future__ import annotations

from signalbox.init.questions import clouds, host, models, network, project

_CLOUD, *_ACCOUNTS = clouds.QUESTIONS
QUESTIONS = (
    *host.QUESTIONS,
    *models.QUESTIONS,
    _CLOUD,
    *network.QUESTIONS,  # before the keys, which may be tried through a gateway of one's own
    *_ACCOUNTS,
    *project.QUESTIONS,
)
