"""A deploy as a person watches it: a line a host while it runs, then what changed, what did not, and what failed."""
