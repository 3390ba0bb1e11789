import sys

# pyinfra's program has Python keep no bytecode, so every run would compile our modules again: a person's choice counts.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
