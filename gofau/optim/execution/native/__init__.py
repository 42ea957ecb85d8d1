"""The fused path on the CPU: the trace of a step as C, compiled once per machine.

source.py    the trace as C
bounds.py    how large a value can get: where a shorter exponential will do
template.py  the C around it: types, threads, the loop over the tensors
compiler.py  runs the system's C compiler
cache.py     the folder of compiled steps, whose files are checked before use
kernels.py   a compiled step, and the tensors that it accepts
"""
