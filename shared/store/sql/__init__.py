"""Numbered migrations, applied in order; never edited after a release."""
