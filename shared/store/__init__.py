"""The data folder: database, journal, records. Synchronous; ``replica.py`` gives it a thread."""
