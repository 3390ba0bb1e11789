"""What more than one of the programs on a host needs. Python's standard library alone."""
