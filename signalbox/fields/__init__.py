"""The kinds of values that settings hold: each checks one string or number and says what to write instead."""
