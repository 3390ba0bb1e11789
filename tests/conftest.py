"""What every test needs. Fixtures of a subject live beside its tests."""
