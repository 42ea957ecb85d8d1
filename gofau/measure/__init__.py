"""Measurements along the trainings of an experiment that no run's record holds."""
