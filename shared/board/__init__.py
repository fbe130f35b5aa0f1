"""The board: static files that agent and hub serve alike, plain ES modules without a build step."""
