"""``python -m gofau.evaluate``: what the weights of a run are worth."""
