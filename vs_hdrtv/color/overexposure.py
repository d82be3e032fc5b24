"""Where an SDR picture is over-exposed."""

from __future__ import annotations

from .arrays import Array, namespace, unit

THRESHOLD = 0.95
"""Signal of the largest channel from which a pixel counts as over-exposed. HDRCNN (Eilertsen et al., 2017), equation 4."""


def overexposure_mask(sdr: Array, threshold: float = THRESHOLD) -> Array:
    """The soft mask M_H: `clamp((max(R, G, B) - threshold) / (1 - threshold), 0, 1)`, NaN counting as 0.

    HDRCNN (Eilertsen et al., SIGGRAPH Asia 2017), equation 4, on the signal instead of on light.

    Args:
        sdr: (N, 3, H, W) BT.1886 signal, [0, 1].
        threshold: below 1; the mask is exactly 0 up to it.

    Returns:
        (N, 1, H, W), [0, 1].
    """
    largest = namespace(sdr).max(sdr, axis=-3, keepdims=True)  # (N, 1, H, W)
    return unit((largest - threshold) / (1 - threshold))
