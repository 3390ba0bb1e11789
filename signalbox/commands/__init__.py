"""The subcommands of `signalbox`, one module each; signalbox/cli.py names them."""
