"""SDR operators: how grading houses, cameras and renderers bring scene light down to SDR.

Each takes scene light (3, H, W), BT.709, exposed so that the operator's mid-grey is where it expects it (1.0 = diffuse
white before compression), draws its own parameters, and gives display light in [0, 1] relative to SDR white. A network
that has seen one operator only fails on every other one, so training draws from all of `SEEN`; `UNSEEN` is only ever
tested on, and `ANALYTIC` (whose exact inverses are baselines) is reported apart.

Light is a numpy array or a torch tensor on any device; what comes back is of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..color.arrays import Array, constant, namespace, on_host
from ..color.gamut import convert, luminance
from ..color.tone_curves import bt2390_eetf, bt2446a_to_sdr, bt2446c_to_sdr
from ..color.transfer import REFERENCE_WHITE, bt1886_eotf, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf

Light = Array
Operator = Callable[[Light, np.random.Generator], Light]

PHONE = {"white": (0.8, 1.2), "contrast": (1.0, 2.0), "pivot": (0.18, 0.7), "black": (0.0, 1.0), "slope": (0.3, 0.75)}
"""Of photographs (`phone`, `finished`): light that the brightest 0.5 % are stretched to, the power after it and the light that
this leaves, how much of the darkest 0.5 % of channels becomes black, and the slope that local tone mapping has left before."""

BEND = {"gamma": 0.12, "s": 0.35, "steepest": 0.8}
"""Of `blend`: deviations of the logarithm of a power of the signal and of an S-curve's strength, which is monotonic below 1."""


def _by_luminance(light: Light, curve: Callable[[Light], Light]) -> Light:
    """Apply `curve` to luminance and keep chromaticity; colours above white are clipped."""
    xp = namespace(light)
    y = xp.maximum(luminance(light, "bt709"), 1e-9)
    scaled: Light = light * (curve(y) / y)
    return xp.clip(scaled, 0, 1)


def _either(light: Light, rng: np.random.Generator, curve: Callable[[Light], Light]) -> Light:
    """`curve` by channel, by luminance, or a mix of the two."""
    xp = namespace(light)
    weight = rng.choice([0.0, 1.0, rng.random()])
    mixed: Light = weight * xp.clip(curve(light), 0, 1) + (1 - weight) * _by_luminance(light, curve)
    return mixed


def camera_clip(light: Light, rng: np.random.Generator) -> Light:
    """Plain exposure, clipped at white: no shoulder."""
    xp = namespace(light)
    return xp.clip(light * rng.uniform(0.8, 1.3), 0, 1)


def exponential(light: Light, rng: np.random.Generator) -> Light:
    """`1 - exp(-k x)`, the density of a simple film."""
    xp = namespace(light)
    k = rng.uniform(0.8, 1.8)
    return _either(light, rng, lambda x: 1 - xp.exp(-k * x))


def soft_knee(light: Light, rng: np.random.Generator) -> Light:
    """Linear up to a knee, then a compressed slope up to clipping: the knee circuit of a broadcast camera."""
    xp = namespace(light)
    knee, ceiling = rng.uniform(0.5, 0.85), rng.uniform(1.5, 8.0)

    def curve(x: Light) -> Light:
        t = xp.clip((x - knee) / (ceiling - knee), 0, 1)
        bend = xp.log1p(t * 10) / np.log1p(10)
        return xp.where(x < knee, x, knee + (1 - knee) * bend)

    return _either(light, rng, curve)


def reinhard(light: Light, rng: np.random.Generator) -> Light:
    """Reinhard et al. 2002, equation 4: `x (1 + x / white^2) / (1 + x)`, with gain so that mid-grey stays."""
    white = rng.uniform(1.5, 8.0)
    return _either(light, rng, lambda x: 1.25 * x * (1 + 1.25 * x / white**2) / (1 + 1.25 * x))


def filmic_aces(light: Light, rng: np.random.Generator) -> Light:
    """Rational fit of the ACES output transform (Narkowicz 2015)."""
    k = rng.uniform(0.5, 0.9)

    def curve(x: Light) -> Light:
        y = k * x
        return y * (2.51 * y + 0.03) / (y * (2.43 * y + 0.59) + 0.14)

    return _either(light, rng, curve)


def sigmoid(light: Light, rng: np.random.Generator) -> Light:
    """Naka-Rushton `x^n / (x^n + s^n)`, normalised to white at a random input."""
    n, s = rng.uniform(0.85, 1.5), rng.uniform(0.5, 1.2)
    white = rng.uniform(2.0, 12.0)
    top = white**n / (white**n + s**n)
    return _either(light, rng, lambda x: x**n / (x**n + s**n) / top)


def logarithmic(light: Light, rng: np.random.Generator) -> Light:
    """`log(1 + k x) / log(1 + k white)`: the compression of log cameras shown after a simple look."""
    xp = namespace(light)
    k, white = rng.uniform(1.0, 8.0), rng.uniform(2.0, 10.0)
    return _either(light, rng, lambda x: xp.log1p(k * x) / np.log1p(k * white))


def toe_line_shoulder(light: Light, rng: np.random.Generator) -> Light:
    """Toe, straight line and shoulder in one (Uchimura 2017), random contrast and linear section."""
    xp = namespace(light)
    contrast, start = rng.uniform(0.9, 1.2), rng.uniform(0.15, 0.3)
    length, toe = rng.uniform(0.2, 0.5), rng.uniform(1.0, 1.5)
    line_end = start + (1 - start) * length / contrast
    level = start + contrast * (line_end - start)
    slope = contrast / (1 - level)

    def curve(x: Light) -> Light:
        low = start * (xp.minimum(x, start) / start) ** toe
        line = start + contrast * (x - start)
        high = 1 - (1 - level) * xp.exp(-slope * xp.maximum(x - line_end, 0))
        blend = xp.clip(x / start, 0, 1) ** 2 * (3 - 2 * xp.clip(x / start, 0, 1))
        return xp.where(x > line_end, high, (1 - blend) * low + blend * line)

    return _either(light, rng, curve)


def log_sigmoid(light: Light, rng: np.random.Generator) -> Light:
    """Sigmoid over log2 exposure with desaturating crosstalk, as recent rendering transforms (AgX) do it."""
    xp = namespace(light)
    mix = rng.uniform(0.02, 0.12)
    low, high, slope = rng.uniform(-9, -7), rng.uniform(3, 5), rng.uniform(7.0, 10.0)
    pivot = (np.log2(0.18) - low) / (high - low)
    together = (1 - 3 * mix) * light + mix * xp.sum(light, axis=-3, keepdims=True)
    t = xp.clip((xp.log2(xp.maximum(together, 2.0**low)) - low) / (high - low), 0, 1)
    s = 1 / (1 + xp.exp(-slope * (t - pivot)))
    s0, s1 = (1 / (1 + np.exp(-slope * (end - pivot))) for end in (0.0, 1.0))
    # The sigmoid gives a gamma signal: decoded to light. Its exponent puts mid-grey at 0.18 of white.
    middle = (0.5 - s0) / (s1 - s0)
    out: Light = ((s - s0) / (s1 - s0)) ** (np.log(0.18) / np.log(middle))
    return out


def film_print(light: Light, rng: np.random.Generator) -> Light:
    """Negative and print: an S-curve of density over log exposure by channel, each with its own contrast, and dye crosstalk."""
    xp = namespace(light)
    mix = rng.uniform(0.0, 0.08)
    light = (1 - 3 * mix) * light + mix * xp.sum(light, axis=-3, keepdims=True)
    contrast = rng.uniform(1.1, 1.7)
    stops = xp.log2(xp.maximum(light, 1e-7) / 0.18)
    top = rng.uniform(2.0, 3.2)
    # A logistic curve whose slope at mid-grey is `contrast` stops a stop and whose top is `top` stops above it.
    floor = -9.0
    rise = (top - floor) / (1 + xp.exp(-(4 * contrast / (top - floor)) * stops + np.log((top - 0.0) / (0.0 - floor))))
    out = xp.clip(0.18 * 2.0 ** (floor + rise) - 0.18 * 2.0**floor, 0, None)
    shown: Light = xp.clip(out / (0.18 * 2.0**top), 0, 1) ** rng.uniform(0.85, 1.0)
    return shown


def local_tone_map(light: Light, rng: np.random.Generator, kept: tuple[float, float] = (0.55, 0.85)) -> Light:
    """Base and detail (Durand and Dorsey 2002), as phones render SDR beside a gain map: the base compressed, detail kept.

    The base is the log luminance after an edge-preserving filter; compression turns about mid-grey, to a slope between `kept`.
    """
    xp = namespace(light)
    import cv2

    y = xp.maximum(luminance(light, "bt709"), 1e-6)
    # The filter is OpenCV's wherever the light lies: one definition, and one plane to carry there and back.
    stops = on_host(xp.log2(y / 0.18)[0]).astype(np.float32)  # (H, W)
    sigma = max(1.0, min(stops.shape) * rng.uniform(0.03, 0.12))
    base = cv2.bilateralFilter(np.clip(stops, -10, 8), d=min(2 * int(sigma) + 1, 25), sigmaColor=1.5, sigmaSpace=sigma)
    compression, boost = rng.uniform(*kept), rng.uniform(1.0, 1.15)
    mapped = 0.18 * 2.0 ** constant(compression * base + boost * (stops - base), light)[None]
    vibrance = rng.uniform(0.9, 1.15)
    k = rng.uniform(1.0, 1.6)
    scaled = 0.18 * xp.maximum(y + vibrance * (light - y), 0) / y * (mapped / 0.18)
    shown: Light = xp.clip((1 - xp.exp(-k * scaled)) / (1 - np.exp(-k * rng.uniform(1.5, 4.0))), 0, 1)
    return shown


def phone(light: Light, rng: np.random.Generator) -> Light:
    """A phone's local tone mapping, stronger than `local_tone_map` and to be `finished`.

    None of `OPERATORS`: its HDR version is not the scene, but what its gain map makes of it (`renditions.gain_mapped`).
    """
    return local_tone_map(light, rng, PHONE["slope"])


def finished(shown: Light, rng: np.random.Generator) -> Light:
    """SDR light as a photograph is handed out: stretched to white, with the contrast back that tone mapping took, and black.

    Of (..., 3, H, W), one picture or the frames of a clip, which are stretched alike.
    """
    xp = namespace(shown)
    bright = float(np.percentile(on_host(xp.max(shown, axis=-3)), 99.5))
    stretched = shown * (rng.uniform(*PHONE["white"]) / max(bright, 1e-3))
    pivot = rng.uniform(*PHONE["pivot"])
    contrasty = pivot * (stretched / pivot) ** rng.uniform(*PHONE["contrast"])
    black = rng.uniform(*PHONE["black"]) * min(float(np.percentile(on_host(contrasty), 0.5)), 0.5)
    held: Light = xp.clip((contrasty - black) / (1 - black), 0, 1)
    return held


def blend(one: Light, other: Light, rng: np.random.Generator) -> Light:
    """A mix of two SDR pictures of the same scene light, (3, H, W) SDR light each, its signal bent by a power and an S-curve.

    A network that knows a handful of curves tells them apart and is sure of itself; real material has none of them.
    """
    xp = namespace(one)
    share = rng.uniform(0.1, 0.9)
    signal = share * bt1886_inverse_eotf(one) + (1 - share) * bt1886_inverse_eotf(other)
    signal = xp.clip(signal, 0, 1) ** float(np.exp(rng.normal(0, BEND["gamma"])))
    strength = float(np.clip(rng.normal(0, BEND["s"]), -BEND["steepest"], BEND["steepest"]))
    bent: Light = bt1886_eotf(xp.clip(signal + strength * signal * (1 - signal) * (2 * signal - 1), 0, 1))
    return bent


def bt2446a(light: Light, rng: np.random.Generator) -> Light:
    """BT.2446-1 method A from a 1000 cd/m2 master."""
    return bt1886_eotf(bt2446a_to_sdr(_master(light), 1000.0))


def bt2446c(light: Light, rng: np.random.Generator) -> Light:
    """BT.2446-1 method C, random crosstalk."""
    return bt1886_eotf(bt2446c_to_sdr(_master(light), rng.uniform(0.0, 0.1)))


def hable(light: Light, rng: np.random.Generator) -> Light:
    """Hable 2010, with its published constants and white at 11.2."""
    xp = namespace(light)
    a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30

    def curve(x: Light) -> Light:
        return ((x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f)) - e / f

    gain = rng.uniform(1.6, 2.4)
    return xp.clip(curve(gain * light) / curve(11.2), 0, 1)


def bt2390_gamut_mapped(light: Light, rng: np.random.Generator) -> Light:
    """BT.2390 EETF to SDR white on the largest channel, then desaturation of what lies outside BT.709."""
    xp = namespace(light)
    white = rng.uniform(100.0, REFERENCE_WHITE)
    hdr = _master(light)
    peak = xp.max(hdr, axis=-3, keepdims=True)
    source = max(float(pq_eotf(peak).max()), white * 1.01)
    mapped = pq_eotf(bt2390_eetf(peak, white, source)) / xp.maximum(pq_eotf(peak), 1e-6)
    rgb = convert(pq_eotf(hdr) * mapped / white, "bt2020", "bt709")
    y = luminance(rgb, "bt709")
    low = xp.min(rgb, axis=-3, keepdims=True)
    keep = xp.where(low < 0, y / xp.maximum(y - low, 1e-9), 1.0)
    mapped_into: Light = xp.clip(y + (rgb - y) * keep, 0, 1)
    return mapped_into


def _master(light: Light) -> Light:
    """Scene light as an unshouldered PQ master: 1.0 at reference white."""
    return pq_inverse_eotf(convert(light * REFERENCE_WHITE, "bt709", "bt2020"))


SEEN: dict[str, Operator] = {
    "camera_clip": camera_clip,
    "exponential": exponential,
    "soft_knee": soft_knee,
    "reinhard": reinhard,
    "filmic_aces": filmic_aces,
    "sigmoid": sigmoid,
    "logarithmic": logarithmic,
    "toe_line_shoulder": toe_line_shoulder,
    "log_sigmoid": log_sigmoid,
    "film_print": film_print,
    "local_tone_map": local_tone_map,
}
ANALYTIC: dict[str, Operator] = {"bt2446a": bt2446a, "bt2446c": bt2446c}
UNSEEN: dict[str, Operator] = {"hable": hable, "bt2390_gamut_mapped": bt2390_gamut_mapped}
OPERATORS: dict[str, Operator] = SEEN | ANALYTIC | UNSEEN
TRAINED = tuple(SEEN | ANALYTIC)
