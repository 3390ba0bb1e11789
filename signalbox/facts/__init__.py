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
    ManifestPathsState,
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
from signalbox.facts.units import Inputs, SystemInputs, SystemUnits, Unit, UserInputs, UserUnits
from signalbox.facts.users import User, UserCommand, UserState

__all__ = [
    "BILLED",
    "FINGERPRINT",
    "Directories",
    "DirectoryState",
    "FileText",
    "FirstLine",
    "Inputs",
    "KeySetting",
    "KeySettings",
    "LoadableModules",
    "Machine",
    "MachineState",
    "Manifest",
    "ManifestPaths",
    "ManifestPathsState",
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
    "SystemInputs",
    "SystemUnits",
    "Tool",
    "ToolState",
    "Transaction",
    "TransactionState",
    "TrustedCertificates",
    "Unit",
    "User",
    "UserCommand",
    "UserInputs",
    "UserState",
    "UserUnits",
    "known_placed",
]
