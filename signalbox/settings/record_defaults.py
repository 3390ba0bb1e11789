"""Records over their defaults: what `defaults` says of a backend, a cloud, a model or a lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from signalbox.backends.records import Model
from signalbox.fields.section import Section
from signalbox.settings.layers import Path, merge
from signalbox.settings.problems import Problem
from signalbox.settings.pydantic_errors import described, unknown
from signalbox.settings.sections import KINDS
from signalbox.settings.sections.model_server import ServedModel


def _records(section: str, kind: Any) -> tuple[type[Section], str, type[Model] | None]:
    """What a section's records are, the key of their defaults, and what their models are; None: they have none."""
    record = get_args(kind)[1]
    model = get_args(record.model_fields["models"].annotation)[1]
    own = isinstance(model, type) and issubclass(model, Model)  # a lane has names of others' models
    return record, section.removesuffix("s"), model if own else None


RECORDS = {section: _records(section, kind) for section, kind in KINDS.items() if get_origin(kind) is dict}
_DEFAULTS: dict[str, type[Section]] = {default: record for record, default, _ in RECORDS.values()} | {
    f"{default}_model": model for _, default, model in RECORDS.values() if model
}
_DEFAULTS["served_model"] = ServedModel


def with_text_keys(value: Any, path: Path, problems: list[Problem]) -> Any:
    """`value` with every key as text; a key that is none gets a problem."""
    if isinstance(value, list):
        return [with_text_keys(item, (*path, index), problems) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if not isinstance(key, str):
            problems.append(Problem((*path, str(key)), f"the key {described(key)}; write it in quotes"))
    return {str(key): with_text_keys(item, (*path, str(key)), problems) for key, item in value.items()}


def filled(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Each section of records with its defaults and its name filled in.

    Args:
        raw: the merged data.
        problems: what is found to be wrong is added here.

    Returns:
        section -> name -> record; None for what is no dict (under the name "" for a whole section).
    """
    defaults = _defaults(raw, problems)
    result: dict[str, dict[str, dict[str, Any] | None]] = {}
    for section, (_, default, model) in RECORDS.items():
        records = raw.get(section)
        if not isinstance(records, dict):
            problems.append(_no_dict((section,), records))
            result[section] = {"": None}
            continue
        result[section] = {}
        for name, data in records.items():
            record = _named(defaults[default], name, data, (section, name), problems)
            models = record.get("models") if record else None
            if record and model and isinstance(models, dict):
                base = defaults[f"{default}_model"]
                at: Path = (section, name, "models")
                record["models"] = {
                    # what is no dict stays as it is, and has its problem as such
                    key: _named(base, key, value, (*at, key), problems) or value
                    for key, value in models.items()
                }
            result[section][name] = record
    return result


def with_served_models(section: Any, raw: Mapping[str, Any]) -> Any:
    """`model_server` with the defaults of its models filled in; what is no dict stays as it is."""
    models = section.get("models") if isinstance(section, dict) else None
    if not isinstance(models, dict):
        return section
    given = raw.get("defaults")
    base = given.get("served_model", {}) if isinstance(given, dict) else {}
    named = {
        name: {**merge(base, data), "name": name} if isinstance(data, dict) and isinstance(base, dict) else data
        for name, data in models.items()
    }
    return {**section, "models": named}


def _defaults(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, Any]]:
    given = raw.get("defaults")
    if not isinstance(given, dict):
        problems.append(_no_dict(("defaults",), given))
        given = {}
    problems.extend(Problem(("defaults", key), unknown(key, set(_DEFAULTS))) for key in given if key not in _DEFAULTS)
    result: dict[str, dict[str, Any]] = {}
    for name, kind in _DEFAULTS.items():
        values = given.get(name, {})
        if not isinstance(values, dict):
            problems.append(_no_dict(("defaults", name), values))
            values = {}
        known = set(kind.model_fields) - {"name"}
        problems.extend(Problem(("defaults", name, key), unknown(key, known)) for key in values if key not in known)
        result[name] = {key: value for key, value in values.items() if key in known}
    return result


def _named(
    base: Mapping[str, Any], name: str, data: object, path: Path, problems: list[Problem]
) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        problems.append(_no_dict(path, data))
        return None
    if "name" in data:
        problems.append(Problem((*path, "name"), "the record's key is its name; take this line out"))
    return {**merge(base, data), "name": name}


def _no_dict(path: Path, value: object) -> Problem:
    return Problem(path, f"{described(value)}; write a dict {{…}}")
