"""Certification: can this model, on this server, really drive Claude Code? Asked of the server itself."""
