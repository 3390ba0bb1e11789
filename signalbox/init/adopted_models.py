"""A gateway's configuration that somebody wrote by hand, in the words of settings: models, fallbacks, lanes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from signalbox.backends import BACKENDS
from signalbox.fields.numbers import CONTEXT_FLOOR
from signalbox.init.clouds import CLAUDES, FOLLOWING, KINDS, WITH_CLAUDES, is_usual, prefix_of
from signalbox.init.existing_host import Entry, Found
from signalbox.init.to_settings import Local
from signalbox.settings.layers import defaults, merge

_LOCAL = {each for kind in BACKENDS.values() for each in kind.written_as}
_FAMILIES = [name.split("-")[1] for name in CLAUDES]
_CANONICAL = re.compile(rf"claude-({'|'.join(_FAMILIES)})-\d(-\d)?(?!\d)")


def account(entry: Entry) -> str:
    """Return whose a model is: an account of `clouds`, "local", or "" for what Signalbox has no place for."""
    of_cloud = (name for name, kind in KINDS.items() if kind.serves(entry.provider, entry.base, entry.id))
    own = "local" if entry.provider in _LOCAL or (entry.base and _near(entry.base)) else ""
    return next(of_cloud, own)


def _near(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".lan", ".local", ".internal", ".home.arpa"))


def local_entry(found: Found) -> Entry | None:
    """Return the model that becomes the local one: the one of that name, or else the first on one's own network."""
    of_own = [each for each in found.models if account(each) == "local"]
    return next((each for each in of_own if each.name == "local"), of_own[0] if of_own else None)


class Gateway:
    """The models of a LiteLLM configuration under the names that they get here.

    names: ours, by those of before. models: by account, each as in settings; places: their addresses, as settings of
    their records. aliases: of the local model. fallbacks: as gateway.fallbacks. told: what is not taken over.
    """

    def __init__(self, found: Found, model: Local | None) -> None:
        self._found, self._local = found, model
        self.told: list[str] = []
        self.models: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in KINDS}
        self.names: dict[str, str] = {}
        self.places: dict[str, dict[str, str]] = {}
        self.aliases: list[str] = []
        owners = {account(each) for each in found.models if _name(account(each), each, "")}
        chosen, self._both = local_entry(found), owners.issuperset(WITH_CLAUDES)
        for entry in found.models:
            owner = account(entry)
            if entry is chosen:
                self.names[entry.name] = "local"
                self.aliases += [entry.name] if entry.name != "local" and "claude" not in entry.name else []
            elif not owner or owner == "local" or not self._added(owner, entry):
                at = f" at {entry.base}" if entry.base else ""
                self.told.append(f"not taken over: {entry.name} ({entry.provider}/{entry.id}{at})")
        self.fallbacks = self._mapped_fallbacks()

    def _added(self, owner: str, entry: Entry) -> bool:
        """Have a model of a cloud; whether it has a place here."""
        name = _name(owner, entry, prefix_of(owner, self._both))
        there = self.models[owner].get(name or "")
        if name is None or (there and there["id"] != entry.id) or not self._at(owner, entry):
            return False
        record = self.models[owner].setdefault(name, {"id": entry.id, "aliases": []})
        if not KINDS[owner].serves_claude:
            lengths = KINDS[owner].lengths(entry.id)
            context, answer = lengths or (CONTEXT_FLOOR, CONTEXT_FLOOR // 4)
            record |= {"context_length": context, "max_output_tokens": answer}
            if lengths is None:
                self.told.append(f"{name} is taken to have {context} tokens of context; its page tells the truth")
        if entry.name in self.names:
            self.told.append(f"{entry.name} had several servers; it is {self.names[entry.name]} alone now")
        elif entry.name != name:
            record["aliases"].append(entry.name)
        self.names.setdefault(entry.name, name)
        return True

    def _at(self, owner: str, entry: Entry) -> bool:
        """Have an account's address; whether this entry's is the same."""
        place = KINDS[owner].place(entry.base)
        return self.places.setdefault(owner, place) == place

    def clouds(self, used: list[str]) -> dict[str, Any]:
        """Return what the section `clouds` needs for these models."""
        section: dict[str, Any] = {name: {"enabled": True} for name in used if not is_usual(name)}
        for owner in used:
            shipped = defaults()["clouds"][owner]["models"]
            wanted = self.models[owner]
            claimed = {alias for each in wanted.values() for alias in each["aliases"]}
            for name, record in shipped.items():  # which stay beside: an alias is one model's
                if name not in wanted and claimed & set(record["aliases"]):
                    wanted = {**wanted, name: {"aliases": [each for each in record["aliases"] if each not in claimed]}}
            if merge(shipped, wanted) != shipped:
                section[owner] = {**section.get(owner, {}), "models": wanted}
        return section

    def _mapped_fallbacks(self) -> dict[str, list[str]]:
        """Return gateway.fallbacks as they were; the local model has none unless it had one."""
        found: dict[str, list[str]] = {"local": []}
        for name, targets in self._found.fallbacks.items():
            ours = self.names.get(name)
            known = [self.names[each] for each in targets if each in self.names and self.names[each] != ours]
            if ours is None or len(known) < len(targets):
                self.told.append(f"not taken over: the fallback of {name} to {', '.join(targets)}, or a part of it")
            if ours and known:
                found[ours] = list(dict.fromkeys(known))
        return found

    def lanes(self, used: list[str]) -> dict[str, Any]:
        """Return the models of lanes."""
        lanes: dict[str, Any] = {}
        if not used:
            return lanes
        set_by = self._found.functions.get("claude-routed", {})
        wanted = {name: self.names.get(value) for name, value in set_by.items()}
        self.told += [
            f"claude-routed asked for {set_by[name]}, which is not there" for name in wanted if not wanted[name]
        ]
        lanes["cloud"] = {"models": self._slots(used[0], {})}
        owner = self._owner(wanted.get("ANTHROPIC_MODEL") or "") or used[0]
        background = "local" if self._local else None
        routed = self._slots(owner, {"ANTHROPIC_DEFAULT_HAIKU_MODEL": background, **wanted})
        lanes["routed"] = {"models": routed}
        if self._both:
            haiku = {"ANTHROPIC_DEFAULT_HAIKU_MODEL": background}
            lanes |= {name: {"models": self._slots(name, haiku)} for name in FOLLOWING}
        return lanes

    def _slots(self, owner: str, wanted: Mapping[str, str | None]) -> dict[str, str]:
        """Return a model for each slot: what was wanted, or else the account's of that family, or its main one."""
        models = list(self.models[owner])
        of = {family: next((name for name in models if family in name), None) for family in _FAMILIES}
        main = wanted.get("ANTHROPIC_MODEL") or of["sonnet"] or models[0]
        same = main if main in models else of["sonnet"] or main
        sonnet = same if "sonnet" in same else of["sonnet"] or same
        opus = wanted.get("ANTHROPIC_DEFAULT_OPUS_MODEL") or of["opus"] or same
        return {
            "main": main,
            "opus": opus,
            "sonnet": wanted.get("ANTHROPIC_DEFAULT_SONNET_MODEL") or sonnet,
            "haiku": wanted.get("ANTHROPIC_DEFAULT_HAIKU_MODEL") or of["haiku"] or same,
            "fable": opus,
        }

    def _owner(self, name: str) -> str:
        return next((owner for owner, models in self.models.items() if name in models), "")


def _name(owner: str, entry: Entry, prefix: str) -> str | None:
    """Return a name by which Claude Code knows the model; None where there is none."""
    if owner in KINDS and not KINDS[owner].serves_claude:
        return (entry.name if "claude" not in entry.name else entry.id) or None
    if known := _CANONICAL.search(entry.id):
        return f"{prefix}{known[0]}"
    words = f"{entry.name} {entry.id}".lower()
    family = next((each for each in _FAMILIES if each in words), None)
    return f"{prefix}{CLAUDES[_FAMILIES.index(family)]}" if family else None
