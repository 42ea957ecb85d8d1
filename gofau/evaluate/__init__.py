"""``python -m gofau.evaluate``: evaluate the weights that a run kept."""
