"""What both ends serve over HTTP: routes, shapes, live changes."""
