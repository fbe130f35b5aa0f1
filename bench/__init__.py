"""What Skerry costs, measured beside what it stands on: ``./dev bench``."""
