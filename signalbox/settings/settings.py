"""Settings of one host: layers in, typed sections out, or every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from signalbox.secrets import Secret, get
from signalbox.settings.account import Account
from signalbox.settings.layers import COMMAND_LINE, Layer, groups_of, merged, origin
from signalbox.settings.problems import Problem, SettingsError
from signalbox.settings.pydantic_errors import problems_of, unknown
from signalbox.settings.pyinfra_keys import pyinfra_keys
from signalbox.settings.record_defaults import RECORDS, filled, with_served_models, with_text_keys
from signalbox.settings.renamed import successor
from signalbox.settings.rules import RULES
from signalbox.settings.rules.rule import IncompleteError
from signalbox.settings.secret_source import source_for
from signalbox.settings.sections import KINDS, SECTION_NAMES, Sections


class Settings(Sections):
    """The valid settings of a host."""

    @classmethod
    def from_layers(cls, layers: Sequence[Layer], host: str) -> Settings:
        """The layers, lowest first, merged deeply and validated.

        Args:
            layers: `(label, data)`; the label of a group or of the command line is told in messages.
            host: the host's name.

        Raises:
            SettingsError: with all problems, not only the first.
        """
        values, problems = _validated(merged(layers), host)
        if problems:
            raise SettingsError({host: [_with_origin(_renamed(problem), layers) for problem in problems]})
        return cls(host=host, groups=groups_of(layers), **values)

    @property
    def has_agent(self) -> bool:
        """Whether Claude Code or its gateway lives here; a host that serves models alone has no such user at all."""
        return any(each.enabled for each in (self.service_user, self.toolchain, self.gateway, self.launchers))

    @property
    def service_account(self) -> Account:
        """The user that Claude Code runs as."""
        return Account.named(self.service_user.name)

    @property
    def gateway_account(self) -> Account:
        """The user that runs Docker and the gateway."""
        return Account.named(self.gateway.user or self.service_user.name)

    @property
    def model_account(self) -> Account:
        """The user that runs the model server."""
        return Account.named(self.model_server.user)

    @property
    def docker_accounts(self) -> tuple[Account, ...]:
        """The users with a rootless Docker of their own."""
        agent = (self.service_account,) if self.rootless_docker.service_user else ()
        return tuple(dict.fromkeys((*agent, self.gateway_account)))

    @property
    def encrypts_secrets(self) -> bool:
        """Whether secrets are encrypted on the host."""
        return self.secrets.enabled and self.secrets.on_host == "credentials"

    def secret(self, name: str) -> Secret:
        """The secret `name` for this host, from where `secrets.source` says.

        Raises:
            SecretError: there is none there, or it cannot be read.
        """
        return get(name, self.host, source_for(self.secrets, self.groups))

    def secret_values(self, names: Iterable[str]) -> dict[str, Secret]:
        """The secrets `names` for this host, by name; raises as `secret` does."""
        return {name: self.secret(name) for name in names}

    def privileges(self) -> dict[str, Any]:
        """pyinfra's global arguments that make an operation root.

        Raises:
            SecretError: the sudo password is not where it should be.
        """
        if not self.connection.sudo:
            return {}
        arguments: dict[str, Any] = {"_sudo": True}
        if self.connection.sudo_password:
            arguments["_sudo_password"] = self.secret(self.connection.sudo_password).reveal()
        return arguments


class _Partial:
    """The sections that are valid so far; a rule that needs another one is not applied."""

    def __init__(self, host: str, values: Mapping[str, Any]) -> None:
        self._values = {"host": host, **values}

    def __getattr__(self, name: str) -> Any:
        if name not in self._values:
            raise IncompleteError(name)
        return self._values[name]


def sections(layers: Sequence[Layer], host: str, names: Sequence[str]) -> dict[str, Any]:
    """These sections alone, for work that must be possible while others are not complete.

    Raises:
        SettingsError: with all problems of these sections.
    """
    raw, values, problems = merged(layers), dict[str, Any](), list[Problem]()
    for name in names:
        _check(values, name, KINDS[name], raw.get(name), (name,), problems)
    if problems:
        raise SettingsError({host: [_with_origin(problem, layers) for problem in problems]})
    return values


def _validated(raw: dict[str, Any], host: str) -> tuple[dict[str, Any], list[Problem]]:
    values: dict[str, Any] = {}
    problems = _unknown_sections(raw)
    ours = {*SECTION_NAMES, "defaults"}
    raw = {key: with_text_keys(value, (key,), problems) if key in ours else value for key, value in raw.items()}
    records = filled(raw, problems)
    whole = {section for section, named in records.items() if None not in named.values()}
    raw = {**raw, **{section: _present(named) for section, named in records.items()}}
    raw["model_server"] = with_served_models(raw.get("model_server"), raw)
    for name in SECTION_NAMES:
        if name not in RECORDS:
            _check(values, name, KINDS[name], raw.get(name), (name,), problems)
        else:
            valid: dict[str, Any] = {}
            for key, record in raw[name].items():
                _check(valid, key, RECORDS[name][0], record, (name, key), problems)
            if name in whole:
                values[name] = valid
    partial = cast(Sections, _Partial(host, values))
    for rule in RULES:
        try:
            problems.extend(rule(partial, raw))
        except IncompleteError:
            continue  # what it needs has its own problem already
    return values, list(dict.fromkeys(problems))


def _present(records: Mapping[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    return {name: record for name, record in records.items() if record is not None}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates this kind: to make one costs more than all that it does for a host."""
    return TypeAdapter(kind)


def _check(
    into: dict[str, Any], key: str, kind: Any, value: Any, path: tuple[str, ...], problems: list[Problem]
) -> None:
    try:
        into[key] = _adapter(kind).validate_python(value)
    except ValidationError as error:
        problems.extend(problems_of(error, path, kind))


def _unknown_sections(raw: Mapping[str, Any]) -> list[Problem]:
    known = {*SECTION_NAMES, "defaults"}
    return [
        Problem((key,), unknown(key, known | pyinfra_keys()))
        for key in raw
        if key not in known and key not in pyinfra_keys() and not key.startswith("_")
    ]


def _renamed(problem: Problem) -> Problem:
    """Return the problem of a setting that has another name now with that name."""
    now = successor(problem.path)
    return Problem(problem.path, f"is called {now} now; write that") if now else problem


def _with_origin(problem: Problem, layers: Sequence[Layer]) -> Problem:
    label = origin(layers, problem.path)
    if label == COMMAND_LINE or label.startswith("group "):
        return Problem(problem.path, f"{problem.text} (from {label})")
    return problem
