"""What one piece of work asks of a machine."""

from typing import NamedTuple

from workers.cost.machine import Machine
from workers.cost.plan import EFFORT
from workers.cost.shape import Shape


class Work(NamedTuple):
    """Amounts that add up."""

    tokens: float = 0.0
    """Whole forward passes of one token; a part of the blocks counts as that part."""
    flops: float = 0.0
    traffic: float = 0.0
    """Bytes of weights, caches and optimiser states that are read or written for few tokens at a
    time, so that the arithmetic waits for them."""
    disk: float = 0.0
    """Bytes of checkpoints that are read and digested."""

    def plus(self, *others: "Work") -> "Work":
        return Work._make(map(sum, zip(self, *others, strict=True)))

    def times(self, count: float) -> "Work":
        return Work._make(count * amount for amount in self)

    def seconds(self, machine: Machine) -> float:
        """Arithmetic and traffic overlap at best, and reading files with neither."""
        computing = max(self.flops / machine.flops, self.traffic / machine.memory_rate)
        return computing + self.disk / machine.disk_rate


def read(
    shape: Shape, tokens: float, context: float, *, blocks: float = 1.0, heads: float = 0.0
) -> Work:
    """A forward pass of `tokens` in texts of `context` tokens through this part of the blocks;
    `heads` of them pass the output head too."""
    in_blocks = tokens * blocks * shape.layers * shape.block_flops(context / 2)
    return Work(tokens=tokens * blocks, flops=in_blocks + heads * 2 * shape.head_weights)


def write(shape: Shape, rows: float, prompt: float, answer: float) -> Work:
    """Answers of `answer` tokens to as many prompts: every token of a batch waits for all weights
    and for the keys and values of its row."""
    length = prompt + answer
    batches = max(1.0, rows * length / EFFORT.decode_tokens)
    weights = (shape.layers * shape.block_weights + shape.head_weights) * 2
    cache = rows * answer * (prompt + answer / 2) * shape.cache_bytes
    passed = read(shape, rows * length, length, heads=rows * answer)
    return passed._replace(traffic=batches * answer * weights + cache)


def load(shape: Shape, times: float = 1.0) -> Work:
    """A model is read from its files, which are digested again."""
    return Work(disk=2 * times * shape.file_bytes)
