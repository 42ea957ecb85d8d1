"""The foreach path: operations on lists of tensors, few of them, with little memory.

plan.py          the trace of a step, rewritten into few instructions
instructions.py  what a plan is made of
coefficients.py  the 0-d values of a step, computed once per step
schedule.py      an order of the instructions that needs little memory
lists.py         the calls of torch that carry them out
buckets.py       which tensors go together, and their step
"""
