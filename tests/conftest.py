"""What every test needs. Fixtures of a subject live beside its tests."""

from hypothesis import settings

# Machines that run tests are busy: how long an example takes proves nothing.
settings.register_profile("signalbox", deadline=None)
settings.load_profile("signalbox")
