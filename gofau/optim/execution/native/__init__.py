"""The fused path on the CPU: the trace of a step as C, compiled once per machine.

source.py    the trace as C
template.py  the C around it: types, threads, the walk over the tensors
compiler.py  the system's C compiler
cache.py     the folder of compiled steps, which is trusted with care
kernels.py   a compiled step, and the tensors that it can take
"""
