"""ICtCp, the opponent space in which HDR colour differences are measured."""

from __future__ import annotations

import numpy as np

from .arrays import Array, mix_channels
from .transfer import pq_eotf, pq_inverse_eotf

# BT.2100-2, table 7: RGB (BT.2020, cd/m2) to LMS, and L'M'S' (PQ) to ICtCp.
_RGB_TO_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
_LMS_TO_ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096


def pq_to_ictcp(hdr: Array) -> Array:
    """BT.2020 PQ signal (..., 3, H, W) to ICtCp (..., 3, H, W). BT.2100-2, table 7."""
    lms = mix_channels(_RGB_TO_LMS, pq_eotf(hdr))
    return mix_channels(_LMS_TO_ICTCP, pq_inverse_eotf(lms))


def ictcp_to_pq(ictcp: Array) -> Array:
    """ICtCp (..., 3, H, W) to BT.2020 PQ signal (..., 3, H, W), the inverse of `pq_to_ictcp`; colours outside become 0."""
    lms = pq_eotf(mix_channels(np.linalg.inv(_LMS_TO_ICTCP), ictcp))
    return pq_inverse_eotf(mix_channels(np.linalg.inv(_RGB_TO_LMS), lms))
