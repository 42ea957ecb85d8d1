"""Training: the loop, the arithmetic it uses, and how a run is resumed after a stop."""
