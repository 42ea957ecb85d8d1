"""How a network is trained: the loop, what it computes with, and how it goes on after a stop."""
