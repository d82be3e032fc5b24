"""Swin Transformer blocks (Liu et al., ICCV 2021): attention inside windows, every second time of shifted ones.

Maps of any size: they are extended to whole windows, and what is added is never looked at. Windows are shifted by extending the
map by half a window on all sides, which needs no rotation and gives the same windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 8
"""Pixels a side of a window."""

UNSEEN = -1e4
"""Added to the logit of a place that is not there; half precision holds it."""


def windows_of(x: Tensor) -> Tensor:
    """(N, C, 8 h, 8 w) -> (N, h, w, 64, C), the pixels of a window row by row."""
    x = torch.unflatten(torch.unflatten(x, 3, (-1, WINDOW)), 2, (-1, WINDOW))  # (N, C, h, 8, w, 8)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4)


def map_of(windows: Tensor) -> Tensor:
    """The inverse of `windows_of`: (N, h, w, 64, C) -> (N, C, 8 h, 8 w)."""
    x = torch.unflatten(windows, 3, (WINDOW, WINDOW)).permute(0, 5, 1, 3, 2, 4)  # (N, C, h, 8, w, 8)
    return x.flatten(4, 5).flatten(2, 3)


def extended(x: Tensor) -> tuple[Tensor, Tensor]:
    """A map with zeros below and at the right up to whole windows, and what is added to the logits of each of its places.

    (N, C, H, W) -> (N, C, 8 h, 8 w), (1, 1, 8 h, 8 w).
    """
    height, width = x.shape[-2:]
    around = (0, -width % WINDOW, 0, -height % WINDOW)
    return functional.pad(x, around), functional.pad(torch.zeros_like(x[:1, :1]), around, value=UNSEEN)


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window, with a bias that is learned for each relative position.

    Args:
        channels: of the map.
        heads: that divide them.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.projection = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        side = 2 * WINDOW - 1
        self.bias = nn.Parameter(0.02 * torch.randn(heads, side**2))
        at = torch.arange(WINDOW**2)
        rows, columns = at // WINDOW, at % WINDOW
        apart = (rows[:, None] - rows + WINDOW - 1) * side + (columns[:, None] - columns + WINDOW - 1)  # (64, 64)
        self.register_buffer("apart", apart.flatten(), persistent=False)

    def forward(self, windows: Tensor, unseen: Tensor) -> Tensor:
        """(N, h, w, 64, C) and what is added to the logits of each place, (1, h, w, 64, 1), -> (N, h, w, 64, C)."""
        c = windows.shape[-1]
        qkv = torch.unflatten(self.qkv(windows), -1, (3, self.heads, c // self.heads))  # (N, h, w, 64, 3, heads, C / heads)
        query, key, value = qkv.permute(4, 0, 1, 2, 5, 3, 6).unbind(0)  # each (N, h, w, heads, 64, C / heads)
        logits = (query * (c // self.heads) ** -0.5) @ key.transpose(-2, -1)  # (N, h, w, heads, 64, 64)
        bias = torch.unflatten(self.bias[:, self.apart], 1, (WINDOW**2, WINDOW**2))  # type: ignore[index]  # (heads, 64, 64)
        hidden = unseen.permute(0, 1, 2, 4, 3)[:, :, :, None]  # (1, h, w, 1, 1, 64)
        y = functional.softmax(logits + bias + hidden, dim=-1) @ value  # (N, h, w, heads, 64, C / heads)
        return self.projection(y.transpose(3, 4).flatten(4))  # type: ignore[no-any-return]


class SwinBlock(nn.Module):
    """LayerNorm, attention and LayerNorm, two-layer perceptron, each with its input added.

    Args:
        channels: of the map.
        heads: that divide them.
        shifted: windows lie half a window further up and left.
        ratio: of the perceptron's hidden channels.
    """

    def __init__(self, channels: int, heads: int = 4, *, shifted: bool = False, ratio: int = 2) -> None:
        super().__init__()
        self.shift = WINDOW // 2 if shifted else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads)
        hidden = ratio * channels
        self.perceptron = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor, unseen: Tensor) -> Tensor:
        """A map and its other half by `extended`, (N, C, 8 h, 8 w) and (1, 1, 8 h, 8 w), -> (N, C, 8 h, 8 w)."""
        around = [self.shift] * 4  # half a window on all sides: whole windows again
        windows, hidden = windows_of(functional.pad(x, around)), windows_of(functional.pad(unseen, around, value=UNSEEN))
        windows = windows + self.attention(self.norm1(windows), hidden)
        windows = windows + self.perceptron(self.norm2(windows))
        y = map_of(windows)
        return y[:, :, self.shift : -self.shift, self.shift : -self.shift] if self.shift else y
