"""What is trained: data, model, loss and metrics, of which the training loop knows nothing.

problem.py               the contract
image_classification.py  images with labels: cross-entropy, accuracy
reconstruction.py        images alone, for autoencoders: mean squared error
images.py                what these two share: splits and batches of images
node_classification.py   a graph, some of whose nodes have labels: cross-entropy, accuracy
language_model.py        text, predicted character by character: bits per character

Only the contract is imported here: a configuration refers to a problem by its import name.
"""

from gofau.problems.problem import Batch, Loader, Loading, Metric, Problem, Task

__all__ = ["Batch", "Loader", "Loading", "Metric", "Problem", "Task"]
