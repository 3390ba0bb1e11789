"""What a model needs of memory, before any of it is fetched: from the head of its file, by arithmetic alone.

`gguf.py` and `config.py` read what the model's own files say, `shape.py` and `families.py` what that means, `need.py`
counts it, and `fit.py` tells whether a box has it, and what would fit in its place.
"""
