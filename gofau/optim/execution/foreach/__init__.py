"""The foreach path: few operations on lists of tensors, with little memory.

plan.py          the trace of a step, rewritten into few instructions
instructions.py  the data types of a plan
coefficients.py  the 0-d values of a step, computed once per step
schedule.py      an order of the instructions that needs little memory
lists.py         the torch calls that execute the instructions
buckets.py       grouping of tensors, and their step
"""
