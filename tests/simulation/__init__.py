"""Deterministic simulation: the production engine in virtual time, under seeded faults.

``world.py`` builds a hub and some agents over in-memory SQLite. ``faults.py`` breaks them,
``workload.py`` uses them, ``ghost.py`` remembers what really happened, ``promises.py`` and
``healed.py`` compare. ``planted.py`` breaks single rules on purpose, to prove the comparison.
"""
