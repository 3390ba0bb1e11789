"""What settings mean: pure functions from settings to what hosts shall be. No file, no network, no secret's value."""
