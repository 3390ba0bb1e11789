"""What may be spent: counted from the audit over restarts, and by every gateway that serves at the moment.

A budget is {"of": "all", "lane" or "cloud", "name", "usd", "per": "hour", "day", "week" or "month", "stops":
"fallbacks" or "all"}; its periods begin in UTC. Requests that are under way when it is used up are finished, and paid.
How much is spent stands in budgets.json beside the audit, for the status line, claude-switch and the doctor.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypedDict

from . import audit_file
from .deployments import Deployment, is_local, split
from .prices import NOTHING, Tokens, price

Per = Literal["hour", "day", "week", "month"]


class Limit(TypedDict):
    """A budget, as the settings tell it."""

    of: Literal["all", "lane", "cloud"]
    name: str
    usd: float
    per: Per
    stops: Literal["fallbacks", "all"]


class Balance(Limit):
    """A budget, and what was taken from it since its present period began."""

    since: str  # ISO 8601
    spent: float  # USD


class Refusal(Balance):
    """A budget that keeps a model from being asked. unpriced: because nobody knows what that one costs."""

    unpriced: bool


LIMITS: list[Limit] = json.loads(os.environ.get("SIGNALBOX_BUDGETS", "[]"))
FILE = "budgets.json"
PIECE = 1 << 20  # bytes of the audit that are read at once
LINE = 1 << 16  # bytes of a line of it at most
A_TOKEN: Tokens = {**NOTHING, "input": 1}


class Ledger:
    """What each budget has had taken from it in its present period, and how far the audit is counted."""

    def __init__(
        self,
        directory: str = audit_file.DIRECTORY,
        limits: Sequence[Limit] = LIMITS,
        now: Callable[[], datetime.datetime] | None = None,
    ) -> None:
        self._directory, self._limits = directory, list(limits)
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))
        self._head, self._offset = "", 0
        self._told: list[Balance] = [{**limit, "since": "", "spent": 0.0} for limit in limits]
        if limits:
            self._remembers()
        else:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, FILE))

    def used_up(self, deployment: Deployment, lane: str | None, hop: bool) -> Refusal | None:
        """Return the budget that keeps this deployment from being asked; None: there is none.

        hop: whether it is asked in another model's place. What nobody knows the price of is never within a budget.
        """
        info = deployment["model_info"]
        if not self._limits or is_local(info["id"]) or info.get("price") == "plan":
            return None
        self.count()
        record, _ = split(info["id"])
        for each in self._told:
            if (hop or each["stops"] == "all") and covers(each, lane, record):
                unpriced = not is_priced(deployment)
                if unpriced or each["spent"] >= each["usd"]:
                    return {**each, "unpriced": unpriced}
        return None

    def count(self) -> None:
        """Count what the audit has more of."""
        if not self._limits:
            return
        before = [each.copy() for each in self._told]
        self._begin()
        with contextlib.suppress(OSError):
            self._read()
        if before != self._told:
            self._keep()

    def told(self) -> list[Balance]:
        """Return each budget with what is spent of it, and since when."""
        return self._told

    def _begin(self) -> None:
        """Begin the periods that have begun."""
        for each in self._told:
            since = begun(self._now(), each["per"])
            if each["since"] != since:
                each |= {"since": since, "spent": 0.0}

    def _read(self) -> None:
        for head, path in self._files():
            with open(path, "rb") as file:
                file.seek(self._offset if head == self._head else 0)
                rest = b""
                while piece := file.read(PIECE):
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        self._take(line)
                    rest = rest if len(rest) < LINE else b""
                self._head, self._offset = head, file.tell() - len(rest)

    def _files(self) -> Iterator[tuple[str, str]]:
        """Return the files that are not counted to their end, oldest first, each with what it is known by.

        That is its first line: names move on with each rotation, and the number of a file that is gone comes again.
        """
        stem = os.path.join(self._directory, audit_file.FILE.removesuffix(".jsonl"))
        found = []
        for number in range(audit_file.OLD_FILES + 1):
            path = f"{stem}.{number}.jsonl" if number else f"{stem}.jsonl"
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if (first := file.readline(LINE)).endswith(b"\n"):
                    found.append((hashlib.sha256(first).hexdigest(), path))
            if found and found[-1][0] == self._head:
                break  # all that is older is counted
        return reversed(found)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            time, lane, backend, usd = (record[name] for name in ("time", "lane", "backend", "cost_usd"))
            time = datetime.datetime.fromisoformat(time).isoformat()
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if isinstance(usd, int | float) and usd > 0:
            for each in self._told:
                if time >= each["since"] and covers(each, lane, backend):
                    each["spent"] = round(each["spent"] + usd, 8)

    def _remembers(self) -> None:
        """Go on where the file says; what was counted for other limits, or in an earlier period, is counted anew."""
        try:
            with open(os.path.join(self._directory, FILE), encoding="utf-8") as file:
                kept = json.loads(file.read(PIECE))
            same = [
                {key: each[key] for key in limit} for each, limit in zip(kept["budgets"], self._limits, strict=True)
            ]
            if same == self._limits:
                for each, was in zip(self._told, kept["budgets"], strict=True):
                    each |= {"since": str(was["since"]), "spent": float(was["spent"])}
                self._head, self._offset = str(kept["head"]), int(kept["offset"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def _keep(self) -> None:
        kept = {"budgets": self._told, "head": self._head, "offset": self._offset}
        try:
            audit_file.put(FILE, json.dumps(kept), self._directory)
        except OSError as error:
            print(f"signalbox: what is spent cannot be kept: {error}", flush=True)


def is_priced(deployment: Deployment) -> bool:
    """Return whether it is known what this deployment's answers cost."""
    info, params = deployment["model_info"], deployment.get("litellm_params") or {}
    _, model = split(info["id"])
    return price(str(params.get("model")), model, A_TOKEN, info.get("price")) is not None


def covers(budget: Limit, lane: str | None, record: str | None) -> bool:
    """Return whether an answer by this record in this lane is taken from the budget."""
    return budget["of"] == "all" or budget["name"] == (lane if budget["of"] == "lane" else record)


def begun(now: datetime.datetime, per: Per) -> str:
    """Return when the period began that `now` is in, in ISO 8601."""
    start = now.replace(minute=0, second=0, microsecond=0)
    if per != "hour":
        start = start.replace(hour=0)
    if per == "week":
        start -= datetime.timedelta(days=start.weekday())
    if per == "month":
        start = start.replace(day=1)
    return start.isoformat()


ledger = Ledger()
