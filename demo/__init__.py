"""A hub, a robot, a tablet and a gateway on this machine, and a story that they play."""
