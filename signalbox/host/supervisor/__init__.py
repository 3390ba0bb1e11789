"""litellm.service: keeps the gateway's port, and a container behind it. Python's standard library alone."""
