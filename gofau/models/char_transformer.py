"""Small decoder-only transformer that predicts the next character."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from gofau.errors import UserError
from gofau.models.checks import check_count


class CharTransformer(nn.Module):
    """Embeddings of characters and places, pre-norm blocks of causal attention and MLP, linear
    head.

    A block is h ← h + attention(LayerNorm(h)), then h ← h + MLP(LayerNorm(h)), the MLP being
    Linear(width, 4·width), GELU, Linear(4·width, width); a LayerNorm comes before the head as well.

    Queries, keys and values have a layer each, and the head's weight is not tied to the embedding:
    so every matrix has one role, and initialisation schemes, step sizes per layer and integer
    weights treat it as a layer of its own. As in GPT-2, the constructor draws embeddings and
    weights from a normal distribution with std 0.02, divided by √(2·layers) for the two layers of a
    block whose output is added to h, and sets biases to zero.

    Args:
        symbols: Number of symbols V, in the inputs and in the logits.
        context: Largest number of characters per block, T.
        width: Width of the embeddings, a multiple of ``heads``.
        layers: Number of blocks.
        heads: Attention heads of each block.

    Shapes:
        int64 (B, t), t ≤ T, to logits (B, t, V), which do not depend on later characters.

    Raises:
        UserError: An argument is not an integer of at least 1, ``width`` is not a multiple
            of ``heads``, or a block is longer than T.

    Sources: Vaswani et al., arXiv 1706.03762; Radford et al., *Language models are unsupervised
    multitask learners*, 2019 (pre-norm, the initial values).

    >>> CharTransformer(symbols=5, context=8)(torch.zeros(2, 6, dtype=torch.int64)).shape
    torch.Size([2, 6, 5])
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        width: int = 96,
        layers: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        sizes = {"width": width, "layers": layers, "heads": heads}
        sizes |= {"symbols": symbols, "context": context}
        for key, value in sizes.items():
            check_count("char_transformer", key, value)
        if width % heads:
            raise UserError(
                f"char_transformer: width must be a multiple of heads, but {width} is not one"
                f" of {heads}."
            )
        self.context = context
        self.characters = nn.Embedding(symbols, width)
        self.places = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, symbols)
        self.apply(_draw)
        for name, parameter in self.named_parameters():
            if name.endswith(Block.ADDING):
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] > self.context:
            raise UserError(
                f"char_transformer: a block has {x.shape[-1]} characters, but at most"
                f" {self.context} are possible."
            )
        places = self.places(torch.arange(x.shape[-1], device=x.device))
        return self.head(self.norm(self.blocks(self.characters(x) + places)))


class Block(nn.Module):
    """Causal attention, then an MLP, each added to its input: (B, t, width) to the same shape."""

    ADDING = ("mix.weight", "down.weight")
    """Ends of the names of the weights whose output is added to h."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.mix = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self._attention(self.norm_attention(h))
        return h + self.down(gelu(self.up(self.norm_mlp(h))))

    def _attention(self, h: Tensor) -> Tensor:
        # Not torch's scaled_dot_product_attention: its fast kernels have no second derivative,
        # which step sizes from the curvature need, and on short blocks they are not faster.
        batch, places, _ = h.shape
        q, k, v = (
            layer(h).unflatten(-1, (self.heads, -1)).transpose(1, 2).flatten(0, 1)
            for layer in (self.query, self.key, self.value)
        )
        # −∞ above the diagonal: the softmax gives later characters the weight 0.
        later = h.new_full((places, places), -torch.inf).triu(1)
        scores = torch.baddbmm(later, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
        mixed = (scores.softmax(-1) @ v).unflatten(0, (batch, self.heads))
        return self.mix(mixed.transpose(1, 2).flatten(2))


def _draw(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear | nn.Embedding):
        nn.init.normal_(layer.weight, std=0.02)
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.bias)
