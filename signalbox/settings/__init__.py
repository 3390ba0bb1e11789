"""Settings: the only reader of inventory data. group_data/all.py is their manual, example and schema."""

from signalbox.settings.account import Account
from signalbox.settings.problems import Problem, SettingsError
from signalbox.settings.run import settings_for, validate_run
from signalbox.settings.settings import Settings

__all__ = ["Account", "Problem", "Settings", "SettingsError", "settings_for", "validate_run"]
