"""Devices to try drivers on: the real protocols over a pseudo terminal or a real broker."""
