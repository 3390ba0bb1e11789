"""The subcommands of `signalbox`, one module each; signalbox/commands/cli.py names them."""
