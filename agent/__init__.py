"""The agent: a replica with what is attached to it on a robot, a tablet or a gateway."""
