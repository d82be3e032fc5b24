"""Losses by hand on small tensors."""

import numpy as np
import torch

from vs_hdrtv.metrics.difference import delta_e_itp
from vs_hdrtv.training.losses import ictcp_difference


def test_it_is_delta_e_itp_over_720():
    rng = np.random.default_rng(1)
    one, other = (rng.uniform(0.1, 0.7, (3, 8, 8)) for _ in range(2))
    expected = float(np.mean(delta_e_itp(one, other))) / 720
    found = float(ictcp_difference(torch.from_numpy(one[None]), torch.from_numpy(other[None])))
    assert abs(found - expected) < 1e-3 * expected


def test_gradients_are_finite_at_black_white_and_beyond():
    picture = torch.tensor([-0.5, 0.0, 1e-9, 1.0, 1.7]).reshape(1, 1, 1, 5).repeat(1, 3, 1, 1).requires_grad_()
    ictcp_difference(picture, torch.full((1, 3, 1, 5), 0.5)).backward()
    assert torch.isfinite(picture.grad).all()
    same = torch.full((1, 3, 2, 2), 0.4, requires_grad=True)
    ictcp_difference(same, torch.full((1, 3, 2, 2), 0.4)).backward()
    assert torch.isfinite(same.grad).all()


def test_a_tint_costs_more_than_its_share_of_l1():
    white = torch.full((1, 3, 4, 4), 0.7)
    lavender = white.clone()
    lavender[:, 1] -= 0.01
    darker = white - 0.01 / 3
    assert ictcp_difference(lavender, white) > 1.5 * ictcp_difference(darker, white)
