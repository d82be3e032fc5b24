"""ICAM: size, what it starts as, references of other exposures, and flow as far as the frame."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv.color.transfer import bt1886_eotf, bt1886_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import icam, parts, registry
from vs_hdrtv.networks.icam import ICAM
from vs_hdrtv.networks.warping import warp

SMALL = {"channels": 16, "levels": (8, 8, 8, 16)}


def frame(height=64, width=80, n=1, seed=2):
    return 0.1 + 0.8 * torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def flow(dx=0.0, dy=0.0, height=64, width=80, n=1):
    return torch.tensor([dx, dy]).reshape(1, 2, 1, 1).expand(n, 2, height, width).clone()


@pytest.fixture
def network(shaken):
    torch.manual_seed(1)
    return shaken(ICAM(**SMALL))


@pytest.fixture
def fresh():
    torch.manual_seed(1)
    return ICAM(**SMALL)


def test_parameters():
    network = registry.create("icam")
    assert isinstance(network, ICAM)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_036_971


@pytest.mark.parametrize("arguments", [{"channels": 8}, {"channels": 20}, {"levels": (8, 8, 8)}, {"levels": (8, 8, 8, 18)}])
def test_refusals(arguments):
    with pytest.raises(InputError, match=r"icam: channels is .*; give 16, 24, 48, and four numbers"):
        ICAM(**arguments)


def test_it_starts_as_the_frames_own_light(fresh):
    sdr = frame()
    with torch.no_grad():
        torch.testing.assert_close(fresh(sdr, [], []), bt1886_eotf(sdr), rtol=1e-4, atol=2e-5)
        # A reference that shows the same adds nothing, wherever the flow says that it is.
        moved = torch.roll(sdr, (3, -5), (2, 3))
        found = fresh(sdr, [sdr, moved], [flow(), flow(-5, 3)])
    torch.testing.assert_close(found, bt1886_eotf(sdr), rtol=0.02, atol=2e-3)


def test_light_that_a_darker_reference_has_comes_in_the_frames_exposure(fresh):
    light = bt1886_eotf(frame())
    light[..., 20:40, 20:50] += 1.5  # a window
    sdr, darker = (bt1886_inverse_eotf((light * factor).clamp(0, 1)) for factor in (1.0, 0.3))
    with torch.no_grad():
        one, six = (fresh(sdr, [darker] * count, [flow()] * count) for count in (1, 6))
    window = (..., slice(22, 38), slice(22, 48))
    truth, clipped = light[window].mean(), sdr[window].mean()
    assert clipped < 1.001 < 0.6 * truth
    # The masks start near a half: each reference halves what is missing.
    assert abs((one[window].mean() - 1) / (truth - 1) - 0.4) < 0.15
    assert abs(six[window].mean() / truth - 1) < 0.05
    well = (..., slice(0, 18), slice(None))
    torch.testing.assert_close(six[well], light[well], rtol=0.05, atol=5e-3)


def test_a_reference_that_clips_lends_no_light(network):
    sdr, white = frame(), torch.ones(1, 3, 64, 80)
    features, there = network.encode(sdr), network.encode(white)
    aligned = network.collect(features, there, flow())
    assert torch.equal(aligned[:, :4], torch.zeros(1, 4, 64, 80))
    assert torch.equal(network.fuse(features, aligned), features)


def test_a_reference_that_clips_at_more_light_tells_how_bright_it_is_at_least(fresh):
    light = bt1886_eotf(frame())
    light[..., 20:40, 20:50] = 30.0  # white in both
    sdr, darker = (bt1886_inverse_eotf((light * factor).clamp(0, 1)) for factor in (1.0, 0.2))
    inner = (..., slice(24, 36), slice(24, 46))
    with torch.no_grad():
        found = fresh(sdr, [darker] * 6, [flow()] * 6)
        other = fresh(darker, [sdr] * 6, [flow()] * 6)
    assert 3.5 < found[inner].mean() < 6  # of five
    assert abs(other[inner].mean() - 1) < 0.05  # the brighter one clips at less light: it tells nothing


def test_the_code_never_changes_and_the_clue_follows_the_mask(network):
    features, there = network.encode(frame()), network.encode(frame(seed=3))
    aligned = network.collect(features, there, flow(1.5, -2))
    fused = network.fuse(features, aligned)
    assert torch.equal(fused[:, icam.CODE], features[:, icam.CODE])
    share = aligned[:, 3:4]
    assert 0 < share.mean() < 1
    torch.testing.assert_close(fused[:, icam.CLUE], features[:, icam.CLUE] * (1 - share) + aligned[:, :3])
    torch.testing.assert_close(fused[:, icam.TOLD], share)
    again = network.fuse(fused, aligned)
    torch.testing.assert_close(again[:, icam.TOLD], 1 - (1 - share) ** 2)


def test_what_no_reference_tells_stays_as_it_is(network):
    sdr = frame()
    sdr[..., 20:40, 20:50] = 1
    with torch.no_grad():
        for references in ([], [frame(seed=3)] * 2):
            found = network(sdr, references, [flow(500.0)] * len(references))
            torch.testing.assert_close(found, bt1886_eotf(sdr), rtol=1e-4, atol=2e-5)
        # And the residual is no nothing: where something is told it counts.
        assert (network(sdr, [sdr * 0.7], [flow()]) - bt1886_eotf(sdr)).abs().max() > 0.01


def test_a_reference_that_contradicts_the_frame_is_not_valid(fresh):
    light = bt1886_eotf(frame())
    light[..., 20:40, 20:50] += 1.5
    sdr, darker = (bt1886_inverse_eotf((light * factor).clamp(0, 1)) for factor in (1.0, 0.3))
    moved = torch.roll(darker, 40, 3)  # where the window is white, it shows something darker than white
    validity = fresh.part("validity")
    window = (..., slice(24, 36), slice(24, 46))
    with torch.no_grad():
        right, wrong = (validity(fresh.encode(sdr), fresh.encode(each), flow())[window] for each in (darker, moved))
    assert right.min() > 0.4
    assert wrong.max() < 0.1


def test_collecting_starts_as_a_plain_warp(fresh):
    sdr, reference = frame(), frame(seed=3)
    features, there = fresh.encode(sdr), fresh.encode(reference)
    along = flow(2.25, -1.5)
    collected, _, _ = fresh.collect.collected(features, there, along)
    moved = warp(there, along)[:, icam.CODE]
    inner = (..., slice(4, -4), slice(4, -4))
    ratio = (collected[:, icam.CODE] / moved)[inner]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))  # one factor of exposure for the three channels
    assert 0.9 < ratio.mean() < 1.1


def test_offsets_are_the_flow_and_at_most_so_much_more(network):
    features, there = network.encode(frame()), network.encode(frame(seed=3))
    along = flow(300.0, -200.0)
    found = network.collect.offsets(torch.cat([features, there], dim=1))
    residual, modulation = found.split([18 * icam.GROUPS, 9 * icam.GROUPS], dim=1)
    offset, modulation = network.collect.guided(residual, modulation, along)
    assert offset.shape == (1, 18 * icam.GROUPS, 64, 80)
    residual = offset.reshape(1, -1, 2, 64, 80) - along.flip(1)[:, None]  # (dy, dx)
    assert 0 < residual.abs().max() <= icam.FARTHEST + 1e-4
    assert modulation.min() >= 0 and modulation.max() <= 2


def test_slices_are_one_convolution(network):
    x, found = network.encode(frame()), torch.randn(1, 27 * icam.GROUPS, 32, 40, generator=torch.Generator().manual_seed(5))
    along, collect = flow(3.0, -2.0), network.collect
    offset, mask = collect.guided(*found.split([18 * icam.GROUPS, 9 * icam.GROUPS], dim=1), along)
    once = torch.ones(1, 1, 64, 80)
    torch.testing.assert_close(collect.deformed(x, found, along, once), collect.deformable(x, offset, mask), rtol=1e-4, atol=1e-5)


def test_half_precision_has_no_nan_where_nothing_is_to_be_taken(network):
    half = network.half()
    features, there = (half.encode(frame(seed=seed).half()) for seed in (2, 3))
    for along in (flow(500.0), flow(2.0)):
        assert torch.isfinite(half.part("validity")(features, there, along.half())).all()


@pytest.mark.parametrize("far", [(80.0, 0.0), (0.0, -64.0), (5000.0, 5000.0)])
def test_flow_out_of_the_reference_brings_nothing(network, far):
    sdr = frame()
    features, there = network.encode(sdr), network.encode(frame(seed=3))
    assert torch.equal(network.collect(features, there, flow(*far)), torch.zeros(1, 16, 64, 80))
    assert torch.equal(network.part("validity")(features, there, flow(*far)), torch.zeros(1, 1, 64, 80))
    assert torch.isfinite(network(sdr, [frame(seed=3)], [flow(*far)])).all()


def test_flow_as_far_as_the_frame_is_followed(fresh):
    reference = frame()
    sdr = torch.roll(reference, 70, 3)  # its last ten columns are the reference's 0 to 9
    aligned, valid, _ = fresh.collect.collected(fresh.encode(sdr), fresh.encode(reference), flow(-70.0))
    shown = (..., slice(4, -4), slice(72, 78))
    torch.testing.assert_close(aligned[:, :3][shown], fresh.encode(sdr)[:, :3][shown], rtol=0.05, atol=0.01)
    assert torch.equal(valid[..., :69], torch.zeros_like(valid[..., :69]))
    assert valid[..., 71:].min() > 0


def test_correction_starts_at_nothing_and_is_told_of(fresh, network):
    sdr, references = frame(), [frame(seed=3), frame(seed=4)]
    flows = [flow(1.0), flow(0, 2.0)]
    with torch.no_grad():
        for one, starts in ((fresh, True), (network, False)):
            found, corrected = one.with_flows(sdr, references, flows)
            assert torch.equal(found, one(sdr, references, flows))
            assert [torch.equal(a, b) for a, b in zip(corrected, flows, strict=True)] == [starts, starts]


def test_number_and_order_of_references(network):
    sdr, references, still = frame(), [frame(seed=3), frame(seed=4)], flow()
    with torch.no_grad():
        none, both = network(sdr, [], []), network(sdr, references, [still] * 2)
        turned, twelve = network(sdr, references[::-1], [still] * 2), network(sdr, references * 6, [still] * 12)
    for result in (none, both, turned, twelve):
        assert result.shape == (1, 3, 64, 80)
        assert torch.isfinite(result).all()
    assert not torch.equal(both, none) and not torch.equal(both, turned)


@pytest.mark.parametrize("size", [(64, 64), (80, 112)])
def test_a_batch_is_its_pictures(network, size):
    sdr, reference, along = frame(*size, n=2), frame(*size, n=2, seed=3), flow(3.0, 1.0, *size, n=2)
    with torch.no_grad():
        both = network(sdr, [reference], [along])
        each = [network(sdr[i : i + 1], [reference[i : i + 1]], [along[i : i + 1]]) for i in range(2)]
    torch.testing.assert_close(both, torch.cat(each), rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter(network):
    found, (corrected,) = network.with_flows(frame(), [frame(seed=3)], [flow(2.0, 1.0)])
    (found.square().mean() + corrected.mean()).backward()
    missing = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.abs().max() > 0]
    assert not missing


def test_every_part_is_found_and_no_weight_has_two_names(network):
    names = [id(parameter) for _, parameter in network.named_parameters(remove_duplicate=False)]
    assert len(names) == len(set(names))
    for name in parts.of("icam"):
        assert isinstance(network.part(name), torch.nn.Module)
    assert network.part("descend").reconstruct is network.reconstruct
