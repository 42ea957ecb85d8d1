"""Tables and figures of the experiments that `python -m gofau.measure` carries out."""
