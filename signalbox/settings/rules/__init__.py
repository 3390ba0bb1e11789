"""Rules between settings, each a function from what is valid so far to its problems.

`settings` may lack sections: reading one that has problems of its own raises IncompleteError, and the rule
is not applied. `raw` is the merged data with records filled: the names of records that are not valid
are there too, so that one mistake is told once.
"""

from __future__ import annotations

from signalbox.settings.rules import (
    between_sections,
    budgets,
    gateway,
    host,
    lanes,
    model_server,
    protection,
    records,
    route_rules,
    texts,
)
from signalbox.settings.rules.rule import Rule

RULES: list[Rule] = [
    *texts.RULES,
    *host.RULES,
    *records.RULES,
    *gateway.RULES,
    *route_rules.RULES,
    *lanes.RULES,
    *model_server.RULES,
    *budgets.RULES,
    *protection.RULES,
    *between_sections.RULES,
]
