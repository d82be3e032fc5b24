"""Losses by hand on small tensors."""

import numpy as np
import torch

from vs_hdrtv.metrics.difference import delta_e_itp
from vs_hdrtv.training import losses
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


def test_masked_l1_by_hand():
    # Three pixels, masks 0, 0.5 and 1: (3 * 0.2 + 3 * 0.4) / 6.
    mask = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3)
    target = torch.zeros(1, 3, 1, 3)
    result = torch.tensor([9.0, 0.2, -0.4]).reshape(1, 1, 1, 3).repeat(1, 3, 1, 1)
    torch.testing.assert_close(losses.masked_l1(result, target, mask), torch.tensor(0.3))
    assert losses.masked_l1(result, target, torch.zeros_like(mask)) == 0


def test_adversarial_losses_by_hand():
    # Two patches of two pixels a side; the mask covers a quarter of the first and all of the second.
    mask = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 1]]).reshape(1, 1, 2, 4)
    generated = torch.tensor([[3.0, 0.5]]).reshape(1, 1, 1, 2)
    real = torch.tensor([[2.0, 0.0]]).reshape(1, 1, 1, 2)
    # Generator: 1/2 (3 - 1)^2 = 2 and 1/2 (0.5 - 1)^2 = 0.125, weights 1/4 and 1.
    torch.testing.assert_close(losses.generator_loss(generated, mask), torch.tensor((0.25 * 2 + 0.125) / 1.25))
    # Discriminator: 1/2 (2 - 1)^2 + 1/2 3^2 = 5 and 1/2 + 1/2 0.5^2 = 0.625.
    torch.testing.assert_close(losses.discriminator_loss(real, generated, mask), torch.tensor((0.25 * 5 + 0.625) / 1.25))
    assert losses.generator_loss(generated, torch.zeros_like(mask)) == 0


def test_adversarial_losses_of_clips_by_hand():
    # Two frames, one patch each: 1/2 (3 - 1)^2 = 2 and 1/2 (0.5 - 1)^2 = 0.125, alike without a mask; a quarter and all with it.
    scores = torch.tensor([3.0, 0.5]).reshape(1, 1, 2, 1, 1)
    torch.testing.assert_close(losses.generator_loss(scores), torch.tensor((2 + 0.125) / 2))
    mask = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]]).reshape(1, 1, 2, 2, 2)
    torch.testing.assert_close(losses.generator_loss(scores, mask), torch.tensor((0.25 * 2 + 0.125) / 1.25))
    # Discriminator: 1/2 (2 - 1)^2 + 1/2 3^2 = 5 and 1/2 + 1/2 0.5^2 = 0.625.
    real = torch.tensor([2.0, 0.0]).reshape(1, 1, 2, 1, 1)
    torch.testing.assert_close(losses.discriminator_loss(real, scores), torch.tensor((5 + 0.625) / 2))


def test_perceptual_loss_by_hand():
    # Features that sum the channels: ImageNet's deviations divide the difference, its means cancel.
    features = torch.nn.Conv2d(3, 1, 1, bias=False)
    torch.nn.init.ones_(features.weight)
    loss = losses.Perceptual(features)
    target = torch.full((1, 3, 2, 2), 0.5)
    result = (target + torch.tensor([0.1, 0.0, -0.1]).reshape(1, 3, 1, 1)).requires_grad_()
    found = loss(result, target)
    torch.testing.assert_close(found, torch.tensor(abs(0.1 / 0.229 - 0.1 / 0.225)))
    found.backward()
    assert result.grad.any()
    assert features.weight.grad is None


def test_perceptual_loss_counts_layers_alike():
    class Two(torch.nn.Module):
        def forward(self, x):
            return {"whole": x, "twice": 2 * x[:, :, :1]}

    target = torch.zeros(1, 3, 2, 2)
    result = 0.2 * torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    torch.testing.assert_close(losses.Perceptual(Two())(result, target), torch.tensor((0.2 + 0.4) / 2))
