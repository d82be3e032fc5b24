"""FCPM of VITM-TC: every frame of a segment from its five nearest recovered key frames.

Ye et al., Deep Video Inverse Tone Mapping Based on Temporal Clues, section 3.4. `networks/orders.py` says in which order the
parts are run. What the paper leaves open is decided here:

- The combination block (local, dilated and global branch, as ExpandNet has them) works at half the size, on frames whose four
  pixels of a square are channels, and gives its results in the same way: nothing is lost, and full size is where the time goes.
- Key frames are brought to the frame's exposure (`exposure.gain`) before they are merged, since each is in its own.
- The masks are a softmax over the key frames; where the flow leaves a key frame, its weight is nothing. They start equal. Where
  it leaves all of them, the frame's own light stands.
- What convolutions read and the residual of equation 12 are codes of the camera curve. The residual starts at 0.
- States have 24 channels at half the size. At a segment's ends the frame is its own neighbour, and the state is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..color.transfer import BT1886_GAMMA, bt1886_eotf, bt1886_inverse_eotf
from ..errors import InputError
from . import orders
from .blocks import zeroed
from .exposure import code_of_light, code_of_signal, gain, light_of_code
from .icam import SLOPE, relu
from .kpn_mfi import conv3x3
from .parts import FCPM_CHANNELS
from .warping import warp, within

OUTSIDE = -30.0
"""Added to the logit of a key frame's mask where the flow leaves it."""

DIRECTIONS = ("backward", "forward")
"""In which states are passed on from frame to frame."""


def halved(x: Tensor) -> Tensor:
    """Squares of four pixels to channels: (N, C, H, W) -> (N, 4 C, H/2, W/2)."""
    return functional.pixel_unshuffle(x, 2)


class Combination(nn.Module):
    """Local, dilated and global features of a map, fused (ExpandNet, Marnerides et al. 2018).

    Args:
        inputs: channels.
        channels: of each branch and of the result.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.local = self.branch(conv3x3(inputs, channels), conv3x3(channels, channels))
        self.dilated = self.branch(conv3x3(inputs, channels, dilation=2), conv3x3(channels, channels, dilation=4))
        down = (conv3x3(channels if index else inputs, channels, stride=2) for index in range(4))
        self.overall = self.branch(*down)
        self.fuse, self.fuse_overall = nn.Conv2d(2 * channels, channels, 1), nn.Conv2d(channels, channels, 1, bias=False)

    @staticmethod
    def branch(*convs: nn.Conv2d) -> nn.Sequential:
        """The convolutions, LeakyReLU after each."""
        return nn.Sequential(*(each for conv in convs for each in (conv, nn.LeakyReLU(SLOPE))))

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, H, W) -> (N, C, H, W), H and W at least 2."""
        # A 1x1 convolution of all three, the global one's share being one number a channel.
        overall = self.fuse_overall(self.overall(x).mean((2, 3), keepdim=True))  # (N, C, 1, 1)
        return relu(self.fuse(torch.cat([self.local(x), self.dilated(x)], dim=1)) + overall)


class Merge(nn.Module):
    """Warped key frames, combined by masks (equation 9)."""

    def __init__(self, channels: int, keys: int = orders.KEYS) -> None:
        super().__init__()
        self.keys = keys
        self.combination = Combination(4 * (3 + 4 * keys), channels)
        self.last = zeroed(conv3x3(channels, 4 * keys))

    def forward(self, sdr: Tensor, *keyframes_and_flows: Tensor) -> Tensor:
        """The frame, K key frames (N, 3, H, W) in light, K flows (N, 2, H, W) -> linear (N, 3, H, W)."""
        # All key frames as one batch: (K N, 3, H, W) and (K N, 2, H, W), the first key frame of each picture first.
        keyframes, flows = (torch.cat(each) for each in (keyframes_and_flows[: self.keys], keyframes_and_flows[self.keys :]))
        inside = within(flows)  # (K N, 1, H, W)
        moved = self.matched(sdr.repeat(self.keys, 1, 1, 1), warp(keyframes, flows), inside)
        moved, inside = (torch.unflatten(each, 0, (self.keys, -1)).transpose(0, 1) for each in (moved, inside))  # (N, K, C, H, W)
        seen = torch.cat([code_of_signal(sdr), code_of_light(moved).flatten(1, 2), inside.flatten(1, 2)], dim=1)
        logits = functional.pixel_shuffle(self.last(self.combination(halved(seen))), 2)  # (N, K, H, W)
        masks = functional.softmax(logits[:, :, None] + OUTSIDE * (1 - inside), dim=1)  # (N, K, 1, H, W)
        shown = inside.amax(1)  # (N, 1, H, W)
        return shown * (masks * moved).sum(1) + (1 - shown) * bt1886_eotf(sdr)  # type: ignore[no-any-return]

    @staticmethod
    def matched(sdr: Tensor, moved: Tensor, inside: Tensor) -> Tensor:
        """Warped key frames in their frames' exposure: (N, 3, H, W) twice, (N, 1, H, W) -> (N, 3, H, W)."""
        signal = bt1886_inverse_eotf(moved.detach().clamp(0, 1))
        return moved * (gain(sdr, signal, inside) ** BT1886_GAMMA).to(moved.dtype)


class Propagate(nn.Module):
    """One step of the propagation in one direction (equations 10, 11)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.combination = Combination(4 * 6 + channels, channels)

    def forward(self, linear: Tensor, neighbour: Tensor, state: Tensor, flow: Tensor) -> Tensor:
        """Merged frame and its neighbour (N, 3, H, W), that one's state (N, C, H/2, W/2), flow to it (N, 2, H, W) -> state."""
        frames = [halved(code_of_light(each)) for each in (linear, neighbour)]
        moved = warp(state, functional.avg_pool2d(flow, 2) / 2)
        return self.combination(torch.cat([*frames, moved], dim=1))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """Both states to the residual: two 3x3 convolutions (equation 12)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in, self.conv_out = conv3x3(2 * channels, channels), zeroed(conv3x3(channels, 12))

    def forward(self, linear: Tensor, forward_state: Tensor, backward_state: Tensor) -> Tensor:
        """The merged frame (N, 3, H, W), two states (N, C, H/2, W/2) -> linear (N, 3, H, W)."""
        residual = self.conv_out(relu(self.conv_in(torch.cat([forward_state, backward_state], dim=1))))
        return light_of_code(code_of_light(linear) + functional.pixel_shuffle(residual, 2))


class Merged(nn.Module):
    """In place of `Residual`: the merged frame."""

    def forward(self, linear: Tensor, forward_state: Tensor, backward_state: Tensor) -> Tensor:
        """See `Residual`."""
        return linear


class Nothing(nn.Module):
    """In place of `Propagate`: a state of zeros."""

    def forward(self, linear: Tensor, neighbour: Tensor, state: Tensor, flow: Tensor) -> Tensor:
        """See `Propagate`."""
        return torch.zeros_like(state)


class FCPM(nn.Module):
    """All frames of a segment from its recovered key frames.

    Signals as ICAM's; H and W multiples of 16, at least 64.

    Args:
        channels: of the branches and states.
        directions: in which states are passed on, of `DIRECTIONS`; fewer than both are for the ablation. With none of them the
            merged key frames are the result.

    Raises:
        InputError: a direction is unknown.
    """

    def __init__(self, channels: int = FCPM_CHANNELS, directions: Sequence[str] = DIRECTIONS) -> None:
        super().__init__()
        unknown = [each for each in directions if each not in DIRECTIONS]
        if unknown:
            raise InputError(f"fcpm: direction {unknown[0]!r} is unknown; give some of {', '.join(DIRECTIONS)}")
        self.arguments: dict[str, Any] = {"channels": channels}
        if tuple(directions) != DIRECTIONS:
            self.arguments["directions"] = list(directions)
        self.merge, self.residual = Merge(channels), Residual(channels) if directions else Merged()
        backward, forward = (Propagate(channels) if each in directions else Nothing() for each in DIRECTIONS)
        self.steps = nn.ModuleDict({"to_previous": backward, "to_next": forward})

    def part(self, name: str) -> nn.Module:
        """A part by its name in `parts`; `forward` and `backward` are taken in a torch module."""
        return self.get_submodule({"backward": "steps.to_previous", "forward": "steps.to_next"}.get(name, name))

    def forward(
        self,
        frames: Sequence[Tensor],
        keyframes: Sequence[Tensor],
        keys_of: Sequence[Sequence[int]],
        key_flows: Sequence[Sequence[Tensor]],
        flows_to_next: Sequence[Tensor],
        flows_to_previous: Sequence[Tensor],
    ) -> Tensor:
        """A segment of T frames from its K key frames.

        Args:
            frames: sdr, T of (N, 3, H, W).
            keyframes: recovered, linear, K of (N, 3, H, W).
            keys_of: for each frame, five numbers of key frames, nearest first.
            key_flows: for each frame, the flows (N, 2, H, W) to those five.
            flows_to_next: T - 1 flows (N, 2, H, W), frame t to t + 1.
            flows_to_previous: T - 1 flows, frame t + 1 to t.

        Returns:
            Linear (N, T, 3, H, W).
        """

        def key_flow(t: int, key: int) -> Tensor:
            return key_flows[t][list(keys_of[t]).index(key)]

        def flow(t: int, other: int) -> Tensor:
            return flows_to_next[t] if other > t else flows_to_previous[other]

        run = {name: self.part(name) for name in orders.PROPAGATE}
        found = orders.propagate(run, frames, keyframes, keys_of, key_flow, flow, self.arguments["channels"])
        return torch.stack(list(found), dim=1)
