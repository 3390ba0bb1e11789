"""A deploy over many hosts that stops in time: canaries, waves, verification, and a way back."""
