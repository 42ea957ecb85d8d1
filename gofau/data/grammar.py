"""Sentences drawn from a small grammar: a text that needs no download and has a known entropy."""

from pathlib import Path
from random import Random

from gofau.data.text import TextData, split_text
from gofau.errors import UserError

# State → its transitions: (text to write, next state, weight). All transitions of a state write
# different texts. Subject and verb agree in number, which the first word decides, and any number of
# adjectives may follow it: so the next character depends on more than the last few.
GRAMMAR: dict[str, tuple[tuple[str, str, int], ...]] = {
    "sentence": (
        *(("the ", "one", 3), ("a ", "one", 2), ("every ", "one", 1)),
        *(("some ", "many", 2), ("two ", "many", 2), ("all ", "many", 1)),
    ),
    "one": (
        *(("old ", "one", 2), ("red ", "one", 1), ("happy ", "one", 1), ("little ", "one", 1)),
        *(("king", "verb of one", 4), ("fox", "verb of one", 3), ("child", "verb of one", 2)),
        *(("river", "verb of one", 1), ("moon", "verb of one", 1)),
    ),
    "many": (
        *(("old ", "many", 2), ("red ", "many", 1), ("happy ", "many", 1), ("little ", "many", 1)),
        *(("kings", "verb of many", 4), ("foxes", "verb of many", 3)),
        *(("children", "verb of many", 2), ("rivers", "verb of many", 1)),
    ),
    "verb of one": (
        *((" sees ", "object", 3), (" follows ", "object", 2), (" forgets ", "object", 1)),
        *((" sleeps", "end", 2), (" sings", "end", 1)),
    ),
    "verb of many": (
        *((" see ", "object", 3), (" follow ", "object", 2), (" forget ", "object", 1)),
        *((" sleep", "end", 2), (" sing", "end", 1)),
    ),
    "object": (
        *(("the castle", "end", 3), ("the sea", "end", 2), ("a song", "end", 2)),
        *(("its name", "end", 1), ("nobody", "end", 1)),
    ),
    "end": ((".\n", "sentence", 4), (", and ", "sentence", 1)),
}


def grammar(
    characters: int = 100_000,
    text_seed: int = 0,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> TextData:
    """Sentences such as "every little fox follows the sea.", drawn from `GRAMMAR`.

    The text is the same under every version of Python: it uses only ``Random.random``, whose
    numbers Python guarantees not to change. Its entropy is 0.429 bits per character: a model that
    knew the grammar would need this many, and no model needs fewer.

    Args:
        characters: length of the text, ≥ 1; its last sentence may be cut.
        text_seed: seed of the text, independent of the run's seed.
        val_fraction, test_fraction: shares of the characters, see `gofau.data.text.split_text`.
        data_dir, cache_dir: accepted because every data set is called with them; not used.

    Raises:
        UserError: characters is not an integer ≥ 1, or a part is empty.

    >>> data = grammar(1000)
    >>> len(data.symbols), len(data.train)
    (26, 800)
    """
    if not isinstance(characters, int) or characters < 1:
        raise UserError(f"characters must be an integer of at least 1, not {characters!r}.")
    random, state, written, length = Random(text_seed), "sentence", [], 0
    while length < characters:
        text, state = _choose(GRAMMAR[state], random)
        written.append(text)
        length += len(text)
    return split_text("grammar", "".join(written)[:characters], val_fraction, test_fraction)


def _choose(transitions: tuple[tuple[str, str, int], ...], random: Random) -> tuple[str, str]:
    place = random.random() * sum(weight for *_, weight in transitions)
    for text, state, weight in transitions:
        place -= weight
        if place < 0:
            return text, state
    return transitions[-1][:2]  # only if rounding made place too large
