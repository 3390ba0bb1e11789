"""What LiteLLM loads of ours in the gateway's container, by plugins.py: LiteLLM and the standard library alone."""
