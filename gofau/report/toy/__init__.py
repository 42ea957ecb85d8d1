"""Figures and tables of the experiments in two variables. They read only the csv files."""
