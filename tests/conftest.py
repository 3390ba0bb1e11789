"""What every test needs. Fixtures of a subject live beside its tests."""

import os

from hypothesis import settings

# Machines that run tests are busy: how long an example takes proves nothing.
settings.register_profile("signalbox", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # of `make check`
settings.register_profile("drill", deadline=None, max_examples=10_000)  # the whole proof
settings.load_profile(
    os.environ.get("SIGNALBOX_HYPOTHESIS", "signalbox")
)  # quick: few examples of everything, drill: many
