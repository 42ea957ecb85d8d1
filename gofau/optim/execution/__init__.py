"""How a step is carried out: the plain loop, and faster ways that are made from a trace of it."""
