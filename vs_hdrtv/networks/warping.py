"""Moving pictures along optical flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Backward warp: `result[p] = picture[p + flow[p]]`, bilinear; the nearest edge pixel stands for what lies outside.

    Args:
        picture: (N, C, H, W).
        flow: (N, 2, H, W) in pixels, (dx, dy): where in `picture` the content of each pixel is.

    Returns:
        (N, C, H, W).
    """
    height, width = flow.shape[-2:]
    # grid_sample takes (x, y) from -1 to 1, which are the outer edges of the first and the last pixel.
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]  # (N, H, W)
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)  # (N, H, W, 2)
    return functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def within(flow: Tensor) -> Tensor:
    """Where a flow stays inside the reference: (N, 2, H, W) -> (N, 1, H, W), 1 inside and 0 outside."""
    height, width = flow.shape[-2:]
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]  # (N, H, W)
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return inside[:, None].to(flow.dtype)
