"""Transformers over the observation window: a student's trunk and a teacher's network.

A window has one token per row. Rows come as the flat features of a Normalizer, the newest first:
the newest row's token is made of its Fourier features, an older row's of the step that led from it
to the next row, which is all of it that those features tell. Where there are images, what an
encoder makes of each is a token as well, before those of the rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vdd_ros.policies.nets import NetSizes, noise_waves, reading_waves

WIDER = 4  # the hidden layer of a block's perceptron over its width


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + W2 gelu(W1 norm(x)) (pre-LN). (B, T, W) -> (B, T, W).

    causal: a token sees itself and those before it.
    """

    def __init__(self, width: int, heads: int, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm_tokens, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.back = nn.Linear(width, WIDER * width), nn.Linear(WIDER * width, width)

    def forward(self, x: Tensor) -> Tensor:
        asked = self.ask(self.norm_tokens(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = asked.permute(2, 0, 3, 1, 4)  # each (B, heads, T, W / heads)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + self.answer(seen.transpose(1, 2).flatten(2))
        return x + self.back(nn.functional.gelu(self.wide(self.norm(x))))


class WindowTokens(nn.Module):
    """(B, C) features -> (B, images + To, W): one token per image, then one per row, the oldest
    first."""

    def __init__(self, sizes: NetSizes, width: int, octaves: int):
        super().__init__()
        newest_dim, self.images = sizes.newest_dim, sizes.images
        self.state_dim = sizes.cond_dim - sizes.images * sizes.image_dim
        if self.state_dim % newest_dim:
            raise ValueError(f"{self.state_dim} features are no rows of {newest_dim} readings")
        self.newest_dim, self.rows = newest_dim, self.state_dim // newest_dim
        self.count = self.images + self.rows
        self.waves = reading_waves(newest_dim, octaves)
        self.newest = nn.Linear(self.waves.size, width)
        self.step = nn.Linear(newest_dim, width) if self.rows > 1 else None
        self.image = nn.Linear(sizes.image_dim, width) if self.images else None

    def forward(self, cond: Tensor) -> Tensor:
        tokens = []
        if self.image is not None:
            blocks = cond[:, self.state_dim :].unflatten(1, (self.images, -1))
            tokens.append(self.image(blocks))
        if self.step is not None:
            steps = cond[:, self.newest_dim : self.state_dim]
            tokens.append(self.step(steps.unflatten(1, (self.rows - 1, self.newest_dim))))
        newest = self.newest(self.waves(cond[:, : self.newest_dim]))[:, None]
        return torch.cat([*tokens, newest], dim=1)


class TransformerTrunk(nn.Module):
    """(B, C) -> (B, W): what the student's heads share, read at the newest row's token.

    Attention is causal, so that what an older row's token holds is what was known then.
    """

    def __init__(self, sizes: NetSizes, width: int, blocks: int, octaves: int, heads: int):
        super().__init__()
        self.window = WindowTokens(sizes, width, octaves)
        self.position = _positions(self.window.count, width)
        self.blocks = _blocks(blocks, width, heads, causal=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, cond: Tensor) -> Tensor:
        x = self.window(cond) + self.position
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, -1])


class TransformerDenoiserNet(nn.Module):
    """F(x, noise, cond): (B, D), (B,) or (1,), (B, C) -> (B, D), in the form of BESO (Reuss et al.
    2023); beside: (B, embedding_dim), added to the noise level's token.

    Tokens: the noise level, the images and rows of the window, then the chunk, PER_TOKEN numbers a
    token and zeros after the last. Attention is full. BESO's is causal because its actions are told
    step by step, from what was seen until then. Here all that is seen comes before the chunk, and
    its numbers are principal components without an order: each says something about every other.
    """

    PER_TOKEN = 4

    def __init__(self, sizes: NetSizes, width: int, blocks: int, octaves: int, heads: int):
        super().__init__()
        self.dim, self.count = sizes.dim, -(-sizes.dim // self.PER_TOKEN)
        self.embedding_dim, self.hidden_dim = width, width
        self.waves = noise_waves()
        self.level = nn.Linear(self.waves.size, width)
        self.window = WindowTokens(sizes, width, octaves)
        self.enter = nn.Linear(self.PER_TOKEN, width)
        self.position = _positions(1 + self.window.count + self.count, width)
        self.blocks = _blocks(blocks, width, heads, causal=False)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, self.PER_TOKEN)
        nn.init.zeros_(self.leave.weight)  # starts as the best linear denoiser
        nn.init.zeros_(self.leave.bias)

    def forward(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        return self.leave(self._tokens(x, noise, cond, beside)).flatten(1)[:, : self.dim]

    def hidden(self, x: Tensor, noise: Tensor, cond: Tensor) -> Tensor:
        """(B, width): what it knows before its last layer, over the tokens of a chunk."""
        return self._tokens(x, noise, cond).mean(1)

    def _tokens(
        self, x: Tensor, noise: Tensor, cond: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        """(B, tokens of a chunk, width)."""
        padded = nn.functional.pad(x, (0, self.count * self.PER_TOKEN - self.dim))
        chunk = self.enter(padded.unflatten(1, (self.count, self.PER_TOKEN)))
        level = self.level(self.waves(noise[:, None]))
        level = level if beside is None else level + beside
        level = level[:, None].expand(len(x), -1, -1)
        tokens = torch.cat([level, self.window(cond), chunk], dim=1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, -self.count :])


def require_heads(width: int, heads: int) -> None:
    """Raise ValueError where the width does not divide into so many heads."""
    if heads < 1 or width % heads:
        raise ValueError(f"a width of {width} does not divide into {heads} heads of attention")


def _positions(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(count, width))


def _blocks(count: int, width: int, heads: int, causal: bool) -> nn.ModuleList:
    return nn.ModuleList(TransformerBlock(width, heads, causal) for _ in range(count))
