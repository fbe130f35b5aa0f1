"""Drivers: devices on a wire, turned into observed changes out and desired state in."""
