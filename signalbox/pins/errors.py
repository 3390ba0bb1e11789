"""What can go wrong while pins are resolved."""


class PinError(Exception):
    """A pin that cannot be resolved, verified or written; the message says which, why and what to do."""
