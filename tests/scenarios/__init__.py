"""Scenarios: real processes, real sockets, real kills."""
