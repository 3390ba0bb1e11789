"""The text that hosts run, and what it is made of."""

from signalbox.shell.script import Script, all_of, command_of, each_of, fed, script_of, sh

__all__ = ["Script", "all_of", "command_of", "each_of", "fed", "script_of", "sh"]
