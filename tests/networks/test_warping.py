"""Backward warp, by hand."""

import torch

from vs_hdrtv.networks.warping import warp, within


def ramp(height=4, width=5):
    """10 a row and 1 a column."""
    return (10.0 * torch.arange(height)[:, None] + torch.arange(width)).expand(1, 1, height, width).double()


def flow(x, y, height=4, width=5):
    return torch.tensor([x, y], dtype=torch.float64).reshape(1, 2, 1, 1).expand(1, 2, height, width)


def test_nothing_moves():
    torch.testing.assert_close(warp(ramp(), flow(0, 0)), ramp())


def test_dx_is_columns_and_dy_rows_and_edges_are_repeated():
    found = warp(ramp(), flow(1, -2))
    torch.testing.assert_close(found[0, 0, 3], torch.tensor([11.0, 12, 13, 14, 14]).double())
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 2, 3, 4, 4]).double())


def test_between_pixels_it_is_linear():
    torch.testing.assert_close(warp(ramp(), flow(0.25, 0.5))[0, 0, 1, 1], torch.tensor(11 + 0.25 + 5.0).double())


def test_each_picture_has_its_own_flow():
    pictures, flows = ramp().repeat(2, 1, 1, 1), torch.cat([flow(0, 0), flow(1, 0)])
    found = warp(pictures, flows)
    torch.testing.assert_close(found[0], ramp()[0])
    assert found[1, 0, 0, 0] == 1


def test_within_is_up_to_the_outermost_pixels():
    assert torch.equal(within(flow(0, 0)), torch.ones(1, 1, 4, 5).double())
    found = within(flow(1, -2))[0, 0]
    assert found.tolist() == [[0.0] * 5, [0.0] * 5, [1.0, 1, 1, 1, 0], [1.0, 1, 1, 1, 0]]
    assert within(flow(-0.5, 0.25))[0, 0].tolist() == [*[[0.0, 1, 1, 1, 1]] * 3, [0.0] * 5]
