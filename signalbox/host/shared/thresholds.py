"""From when on what is billed is told: by the gateway, which has the doctor look, by the doctor and by the launcher."""

from __future__ import annotations

OFTEN, LATELY = 3, 600.0  # so many answers billed in a local model's place for one cause, in so many seconds
NEARLY = 0.8  # of a budget
