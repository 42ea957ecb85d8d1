"""Figures and tables of the experiments in two variables, from their csv files alone."""
