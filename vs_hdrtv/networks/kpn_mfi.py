"""KPN-MFI: kernel prediction with multi-frame interaction (Cao et al., IJCAI 2022), three SDR frames to the middle one in HDR.

One encoder and decoder for every frame; the frames meet in `MultiFrameInteraction` at an eighth of the size. What the paper
leaves open is decided here:

- 64 channels; residual blocks 2, 4 in the encoder, 8 at an eighth, 4, 2 in the decoder: 1.92 M parameters (the paper: 3.37 M).
- The interaction's sum over positions is divided by their number, or Z would grow with the size of the frame. The cosines are
  multiplied in the order that never makes the map of all pairs of positions: the same function, linear in their number.
- Self-attention looks at keys and values that are averaged to at most 64x64 positions.
- The kernels filter the SDR signal and mix no colours, so that a wider gamut lies outside their reach: between decoding
  (BT.1886) and PQ stands a learned 3x3 matrix on light, BT.709 to BT.2020 at the start. With the kernels' start, the identity, an
  untrained network is the BT.2408 mapping.
- He's initial weights, LeakyReLU after each upsampling, and kernels that are a 25th of the last layer's: with plain ReLU, torch's
  own weights and all of the last layer, training killed the features before it.

Frame-global statistics: the interaction's product of values and keys, and the mean of its channel gate. Self-attention's keys are
positions, no statistics: `steady=` leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..color.gamut import conversion_matrix
from ..errors import InputError
from . import statistics
from .blocks import area_matrix, global_average
from .light import decoded, encoded

MULTIPLE = 8
"""Sides that three halvings divide."""

POSITIONS = 64
"""A side that self-attention's keys and values have at most."""

KERNEL = 5
"""Pixels a side of the predicted kernels."""

BLOCKS = (2, 4, 8, 4, 2)
"""Residual blocks at 1/2 and 1/4 of the encoder, and at 1/8, 1/4 and 1/2 of the decoder."""

SLOPE = 0.1
"""Of LeakyReLU below 0."""


class MultiFrameInteraction(nn.Module):
    """MFI: the current frame's features gained by how they agree with both neighbours' (section 3.2, equations 4 to 7).

    Z of a neighbour is `Z_i = 1/m sum_j cos(p_i, q_j) v_j` over the m positions, P of the neighbour, Q and V of the current one.
    With `p` and `q` of length 1, the sum is `(V Q^T) p_i / m`: a C x C product of the frame instead of m x m cosines. The block
    starts as the identity, so that it can be put into a network that was trained on single frames.

    Args:
        channels: of the features.
        hidden: channels of P, Q and V; the paper's are as many as the features'.
    """

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or channels
        self.neighbour = nn.Conv2d(channels, hidden, 1)
        self.current = nn.Conv2d(channels, 2 * hidden, 1)
        self.fusion = nn.Conv2d(2 * hidden, channels, 1)
        self.gate = nn.Linear(channels, channels)
        with torch.no_grad():
            self.gate.weight.zero_()
            self.gate.bias.zero_()

    def forward(self, previous: Tensor, current: Tensor, following: Tensor) -> Tensor:
        """Three maps (N, C, H, W) -> the current one after the interaction, (N, C, H, W)."""
        query, value = self.current(current).chunk(2, dim=1)
        product = self.product(query, value)
        related = [self.relation(self.neighbour(each), product) for each in (previous, following)]
        relation = self.fusion(torch.cat(related, dim=1))  # (N, C, H, W)
        gain = self.gate(global_average(current).flatten(1))[:, :, None, None]  # (N, C, 1, 1)
        return (1 + gain * relation) * current  # type: ignore[no-any-return]

    @classmethod
    def interaction(cls, p: Tensor, q: Tensor, v: Tensor) -> Tensor:
        """Z (equations 4, 5) over the number of positions: three maps (N, K, H, W) -> (N, K, H, W)."""
        return cls.relation(p, cls.product(q, v))

    @staticmethod
    def product(q: Tensor, v: Tensor) -> Tensor:
        """`V Q^T / m`, a statistic of the frame: two maps (N, K, H, W) -> (N, K, K)."""

        def compute(q: Tensor, v: Tensor) -> Tensor:
            height, width = q.shape[2:]
            # Half of the division on each side of the product: half precision holds neither the sum nor a q that small.
            part = (height * width) ** -0.5
            keys = (functional.normalize(q, dim=1) * part).flatten(2)  # (N, K, m)
            product: Tensor = (v * part).flatten(2) @ keys.transpose(1, 2)  # (N, K, K)
            return product

        return statistics.statistic(compute, q.shape[1], q.shape[1], of=(q, v))

    @staticmethod
    def relation(p: Tensor, product: Tensor) -> Tensor:
        """`product` times the positions' unit vectors: (N, K, H, W), (N, K, K) -> (N, K, H, W)."""
        z: Tensor = product @ functional.normalize(p, dim=1).flatten(2)  # (N, K, m)
        return z.reshape(p.shape)


class NoInteraction(nn.Module):
    """In the place of MFI (Table 3, model #1): the current frame's features as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, previous: Tensor, current: Tensor, following: Tensor) -> Tensor:
        """`current`."""
        return current


INTERACTIONS: Mapping[bool, type[nn.Module]] = {True: MultiFrameInteraction, False: NoInteraction}


def conv3x3(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution whose initial weights keep the size of what passes through it and a ReLU (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class ResidualBlock(nn.Module):
    """3x3, ReLU, 3x3, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in, self.conv_out = (conv3x3(channels, channels) for _ in range(2))
        with torch.no_grad():
            for parameter in self.conv_out.parameters():
                parameter.mul_(0.1)  # twenty in series start near the identity

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.conv_out(functional.relu(self.conv_in(x)))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """SA (Zhang et al. 2019), keys and values averaged to at most 64x64 positions; starts as the identity."""

    def __init__(self, channels: int, ratio: int = 8) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(channels, channels // ratio, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        rows, columns = (area_matrix(line, POSITIONS, at_most=True) for line in (x[0, 0, :, 0], x[0, 0, 0]))
        pooled = rows @ x @ columns.T  # (N, C, h, w), both at most 64
        maps = self.query(x), self.key(pooled), self.value(pooled)
        query, key, value = (each.flatten(2).transpose(1, 2)[:, None] for each in maps)  # one head: (N, 1, m, K)
        y = functional.scaled_dot_product_attention(query, key, value)  # (N, 1, H W, C)
        return x + self.gain * y.transpose(2, 3).reshape(x.shape)


class Encoder(nn.Module):
    """A frame to features at full size, 1/2, 1/4 and 1/8; self-attention on the last."""

    def __init__(self, channels: int, half: int, quarter: int) -> None:
        super().__init__()
        relu = nn.ReLU()

        def down(blocks: int) -> nn.Sequential:
            conv = conv3x3(channels, channels, stride=2)
            return nn.Sequential(conv, relu, *(ResidualBlock(channels) for _ in range(blocks)))

        convs = conv3x3(3, channels), conv3x3(channels, channels)
        self.head = nn.Sequential(convs[0], relu, convs[1], relu)
        self.down1, self.down2, self.down3 = down(half), down(quarter), down(0)
        self.attention = SelfAttention(channels)

    def forward(self, sdr: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 3, 8 h, 8 w) -> (N, C, 8 h, 8 w), (N, C, 4 h, 4 w), (N, C, 2 h, 2 w), (N, C, h, w)."""
        full = self.head(sdr)
        half = self.down1(full)
        quarter = self.down2(half)
        return full, half, quarter, self.attention(self.down3(quarter))


class Upsampling(nn.Module):
    """Twice the size (nearest neighbour), the encoder's features beside it, 3x3, LeakyReLU, residual blocks."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv = conv3x3(2 * channels, channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, C, H, W), (N, C, 2 H, 2 W) -> (N, C, 2 H, 2 W)."""
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.blocks(functional.leaky_relu(self.conv(torch.cat([x, skip], dim=1)), SLOPE))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Features to a kernel for each pixel and colour; the kernels start as the identity."""

    def __init__(self, channels: int, eighth: int, quarter: int, half: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(eighth)))
        self.up1, self.up2, self.up3 = (Upsampling(channels, blocks) for blocks in (quarter, half, 0))
        self.kernels = nn.Conv2d(channels, 3 * KERNEL**2, 3, padding=1)
        with torch.no_grad():
            self.kernels.weight.zero_()
            assert self.kernels.bias is not None
            self.kernels.bias.copy_(KERNEL**2 * functional.one_hot(torch.tensor(KERNEL**2 // 2), KERNEL**2).repeat(3))

    def forward(self, x: Tensor, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """(N, C, h, w) and the encoder's others -> (N, 75, 8 h, 8 w)."""
        x = self.up2(self.up1(self.blocks(x), quarter), half)
        # The taps add up: a step that moves each of them moves the gain of a flat area as often.
        return self.kernels(self.up3(x, full)) / KERNEL**2  # type: ignore[no-any-return]


def filter_pixelwise(x: Tensor, kernels: Tensor) -> Tensor:
    """Equation 3: `y[c, p] = sum_k kernels[c, k, p] x[c, p + k]`, k row by row; the picture's edges are repeated outwards.

    (N, C, H, W), (N, 25 C, H, W) -> (N, C, H, W).
    """
    n, c, h, w = x.shape
    taps = kernels.reshape(n, c, KERNEL**2, h, w).unbind(2)
    padded = functional.pad(x, [KERNEL // 2] * 4, mode="replicate")  # (N, C, H + 4, W + 4)
    y = torch.zeros_like(x)
    for row in range(KERNEL):
        strip = padded[:, :, row : row + h]  # (N, C, H, W + 4)
        for column in range(KERNEL):
            y = y + taps[KERNEL * row + column] * strip[..., column : column + w]
    return y


class Rendering(nn.Module):
    """Filtered BT.709 signal to BT.2020 PQ signal: light, a learned matrix, PQ."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor(conversion_matrix("bt709", "bt2020"), dtype=torch.float32))

    def forward(self, signal: Tensor) -> Tensor:
        """(N, 3, H, W), 1 being reference white -> (N, 3, H, W)."""
        light = decoded(signal)
        weight = self.matrix.to(light.dtype)[:, :, None, None, None]  # (3, 3, 1, 1, 1)
        red, green, blue = light.unbind(1)
        mixed = weight[:, 0] * red + weight[:, 1] * green + weight[:, 2] * blue  # (3, N, H, W)
        return encoded(mixed.transpose(0, 1)).to(signal.dtype)


class KPNMFI(nn.Module):
    """Three SDR frames to the HDR frame in the middle, by a kernel for each pixel and colour.

    Input: three frames `sdr` (N, 3, H, W) in [0, 1], in time order, BT.709 gamma signal, H and W at least 32. Output `hdr`
    (N, 3, H, W), BT.2020 PQ signal, [1.2e-4, 1].

    Args:
        channels: of all features.
        blocks: residual blocks, five numbers as in `BLOCKS`.
        interaction: MFI; without, each frame is alone (Table 3, model #1).
    """

    def __init__(self, channels: int = 64, blocks: Sequence[int] = BLOCKS, *, interaction: bool = True) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(channels, *blocks[:2]), Decoder(channels, *blocks[2:])
        self.interaction = INTERACTIONS[interaction](channels)
        self.rendering = Rendering()

    def forward(self, *frames: Tensor) -> Tensor:
        """Three frames (N, 3, H, W), or one that is its own neighbour, -> (N, 3, H, W).

        Raises:
            InputError: there are two, or more than three.
        """
        if len(frames) not in (1, 3):
            raise InputError(f"kpn_mfi: got {len(frames)} frames; it takes three, or one alone")
        current = frames[len(frames) // 2]
        features = self.encoder(padded(current))
        if len(frames) == 1:
            return self.converted(current, features[3], features[3], features)
        previous, following = (self.encoder(padded(each))[3] for each in (frames[0], frames[2]))
        return self.converted(current, previous, following, features)

    def converted(self, sdr: Tensor, previous: Tensor, following: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """One frame (N, 3, H, W) by its encoded features and its neighbours' at 1/8 -> (N, 3, H, W)."""
        full, half, quarter, deep = features
        kernels = self.decoder(self.interaction(previous, deep, following), full, half, quarter)
        height, width = sdr.shape[-2:]
        return self.rendering(filter_pixelwise(sdr, kernels[:, :, :height, :width]))  # type: ignore[no-any-return]

    def all_frames(self, previous: Tensor, current: Tensor, following: Tensor) -> Tensor:
        """The HDR frames of all three, each by the other two, as the paper trains: three of (N, 3, H, W) -> (N, 3, 3, H, W)."""
        frames = previous, current, following
        encoded = [self.encoder(padded(each)) for each in frames]
        deep = [each[3] for each in encoded]
        others = ((1, 2), (0, 2), (0, 1))
        hdr = [self.converted(frames[i], deep[a], deep[b], encoded[i]) for i, (a, b) in enumerate(others)]
        return torch.stack(hdr, dim=1)


def padded(sdr: Tensor) -> Tensor:
    """`sdr` with its last row and column repeated up to sides that `MULTIPLE` divides."""
    height, width = sdr.shape[-2:]
    return functional.pad(sdr, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
