"""The hub: sync for devices, allocation, and the API of all that agents bring together."""
