"""The tests; the folders mirror the code, with ``scenarios`` and ``simulation`` beside them."""
