"""Drills: the whole proof, on real lab hosts. `python -m tests.drills --help`.

A drill proves one line of what the project must show, in named cells that do not depend on each other. A cell
looks from outside the tool (plain ssh, request logs), and breaks the thing once to see its own check fail.
"""
