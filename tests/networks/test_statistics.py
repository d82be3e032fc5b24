"""Statistics of a frame: recorded, replaced, and otherwise left alone."""

from __future__ import annotations

import threading

import pytest
import torch
from torch.nn import functional

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import blocks, statistics
from vs_hdrtv.networks.kpn_mfi import MultiFrameInteraction


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_a_mean_is_recorded_and_replaced():
    x = maps(2, 3, 4, 5)
    recorded = statistics.record(lambda: blocks.global_average(x))
    assert recorded.shape == (2, 3, 1, 1)
    assert torch.equal(recorded, x.mean((2, 3), keepdim=True))
    given = torch.arange(6.0).reshape(2, 3)
    with statistics.replaying(given):
        assert torch.equal(blocks.global_average(x), given[:, :, None, None])
    assert torch.equal(blocks.global_average(x), recorded)


def test_what_is_replaced_is_not_computed():
    def compute():
        raise AssertionError

    with statistics.replaying(torch.zeros(1, 4, 1, 1)):
        assert statistics.statistic(compute, 2, 2).shape == (1, 2, 2)


def test_in_order_and_no_further_than_asked():
    def run():
        for value in (1.0, 2.0, 3.0):
            statistics.statistic(lambda value=value: seen.append(value) or torch.full((1, 1), value), 1)

    seen = []
    assert statistics.record(run).flatten().tolist() == [1, 2, 3]
    seen.clear()
    assert statistics.record(run, enough=2).flatten().tolist() == [1, 2]
    assert seen == [1, 2]


@pytest.mark.parametrize(("count", "taken"), [(2, "more"), (4, "3")])
def test_wrong_number(count, taken):
    message = f"statistics: got {count} numbers, but the network takes {taken}; give those of its own"
    with pytest.raises(InputError, match=message), statistics.replaying(torch.zeros(1, count)):
        blocks.global_average(maps(1, 3, 4, 5))


def test_a_network_without_any():
    with pytest.raises(InputError, match="computes nothing over the whole frame"):
        statistics.record(lambda: torch.zeros(1))


def test_an_error_inside_leaves_no_context_behind():
    with pytest.raises(RuntimeError, match="inside"), statistics.replaying(torch.zeros(1, 3)):
        raise RuntimeError("inside")
    assert not statistics.active()


def test_threads_do_not_meet():
    x, barrier, seen = maps(1, 3, 4, 5), threading.Barrier(2), []

    def other():
        barrier.wait()
        seen.append(blocks.global_average(x))
        barrier.wait()

    thread = threading.Thread(target=other)
    thread.start()
    with statistics.replaying(torch.zeros(1, 3)):
        barrier.wait()
        barrier.wait()
        blocks.global_average(x)
    thread.join()
    assert torch.equal(seen[0], x.mean((2, 3), keepdim=True))


def test_instance_norm_taken_apart(shaken):
    norm, x = shaken(blocks.InstanceNorm(6), 0.5), 3 * maps(2, 6, 9, 7) + 1
    expected = functional.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=norm.eps)
    assert torch.equal(norm(x), expected)
    recorded = statistics.record(lambda: norm(x))
    mean = x.mean((2, 3))
    variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    torch.testing.assert_close(recorded.flatten(1), torch.cat([mean, variance], 1))
    with statistics.replaying(recorded):
        torch.testing.assert_close(norm(x), expected)
    # Mean 0 and a variance that with eps is 1: the weights alone.
    plain = torch.cat([torch.zeros(2, 6), torch.full((2, 6), 1 - norm.eps)], 1)
    with statistics.replaying(plain):
        expected = x * norm.weight[None, :, None, None] + norm.bias[None, :, None, None]
        torch.testing.assert_close(norm(x), expected)


def test_interaction_has_one_product_and_one_mean(shaken):
    block = shaken(MultiFrameInteraction(6, 4))
    previous, current, following = maps(3, 2, 6, 5, 7).unbind()
    recorded = statistics.record(lambda: block(previous, current, following))
    query, value = block.current(current).chunk(2, dim=1)
    unit = functional.normalize(query, dim=1).flatten(2)
    product = value.flatten(2) @ unit.transpose(1, 2) / 35
    torch.testing.assert_close(recorded.flatten(1), torch.cat([product.flatten(1), current.mean((2, 3))], 1))
    expected = block(previous, current, following)
    with statistics.replaying(recorded):
        torch.testing.assert_close(block(previous, current, following), expected)


def test_a_map_of_one_pixel_is_no_frame(shaken):
    block, x = shaken(blocks.ContextBlock(40)), maps(1, 40, 5, 6)
    assert torch.equal(statistics.record(lambda: block(x)), x.mean((2, 3), keepdim=True))


def in_pieces(run, x, known, wanted, sizes=((0, 4), (4, 5), (5, 9))):
    """`statistics.measure` of three pieces of the rows of a map, put together."""
    pieces = [statistics.measure(lambda a=a, b=b: run(x[:, :, a:b]), known, wanted, lambda piece: piece) for a, b in sizes]
    return statistics.merged(pieces)


def test_of_pieces_is_that_of_the_whole(shaken):
    norm, x = shaken(blocks.InstanceNorm(6), 0.5), 3 * maps(1, 6, 9, 7) + torch.arange(9.0)[:, None] + 100
    whole = statistics.record(lambda: norm(x)).flatten(1)
    found = in_pieces(norm, x, torch.zeros(1, 0), 12)
    torch.testing.assert_close(found.float(), whole, rtol=1e-5, atol=0)
    assert found.dtype == torch.float64 and found[0, 6:].min() > 5  # the pieces' own variances are far smaller than that


def test_measured_are_the_next_ones_and_what_comes_after_is_not_run(shaken):
    block, x = shaken(MultiFrameInteraction(6, 4)), maps(1, 6, 9, 7)
    whole = statistics.record(lambda: block(x, x, x)).flatten(1)
    seen = []
    block.gate.register_forward_hook(lambda *_: seen.append(1))
    assert statistics.groups(lambda: block(x, x, x)) == [16, 22] and seen
    seen.clear()
    first = in_pieces(lambda piece: block(piece, piece, piece), x, torch.zeros(1, 0), 16)
    torch.testing.assert_close(first.float(), whole[:, :16])
    second = in_pieces(lambda piece: block(piece, piece, piece), x, first.float(), 6)
    torch.testing.assert_close(second.float(), whole[:, 16:])
    assert not seen


def test_statistics_of_the_same_maps_are_one_group(shaken):
    norm, context, x = shaken(blocks.InstanceNorm(40)), shaken(blocks.ContextBlock(40)), maps(1, 40, 5, 6)

    def run():
        y = norm(x)
        context(y), blocks.global_average(y), blocks.global_average(y + 1)

    assert statistics.groups(run) == [80, 160, 200]
    with pytest.raises(InputError, match="computes nothing over the whole frame"):
        statistics.groups(lambda: x)
