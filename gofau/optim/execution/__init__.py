"""Execution paths of a step: the plain loop, and faster paths derived from a trace of it."""
