"""What a host is now. Each fact is one short command; absence is an answer, never an error."""

from signalbox.facts.billing import BILLED, KeySetting, KeySettings
from signalbox.facts.context import ModelServers
from signalbox.facts.machine import FileText, FirstLine, Machine, MachineState, Reachable
from signalbox.facts.packages import (
    LoadableModules,
    Packages,
    SecurityUpdates,
    Transaction,
    TransactionState,
    TrustedCertificates,
)
from signalbox.facts.placed import (
    FINGERPRINT,
    Directories,
    DirectoryState,
    Manifest,
    ManifestPaths,
    ManifestState,
    Placed,
    PlacedEach,
    PlacedState,
    Tool,
    ToolState,
)
from signalbox.facts.placed import known as known_placed
from signalbox.facts.secrets import SecretFiles, SecretState
from signalbox.facts.sessions import Session, Sessions
from signalbox.facts.users import UnitState, User, UserCommand, UserState, UserUnit

__all__ = [
    "BILLED",
    "FINGERPRINT",
    "Directories",
    "DirectoryState",
    "FileText",
    "FirstLine",
    "KeySetting",
    "KeySettings",
    "LoadableModules",
    "Machine",
    "MachineState",
    "Manifest",
    "ManifestPaths",
    "ManifestState",
    "ModelServers",
    "Packages",
    "Placed",
    "PlacedEach",
    "PlacedState",
    "Reachable",
    "SecretFiles",
    "SecretState",
    "SecurityUpdates",
    "Session",
    "Sessions",
    "Tool",
    "ToolState",
    "Transaction",
    "TransactionState",
    "TrustedCertificates",
    "UnitState",
    "User",
    "UserCommand",
    "UserState",
    "UserUnit",
    "known_placed",
]
