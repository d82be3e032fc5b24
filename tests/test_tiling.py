"""Frames in tiles: the pixels of whole frames, halos that are as wide as what a pixel depends on, refusals."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save

from vs_hdrtv import engines, tiling
from vs_hdrtv.errors import InputError
from vs_hdrtv.modelcard import ModelCard, ModelFile
from vs_hdrtv.networks import graphs, parts, registry, statistics
from vs_hdrtv.networks.windows import Span, Window, inside

ARGUMENTS = {
    "hdcfm": {"channels": 20},
    "hdcfm_mfi": {"channels": 20},
    "pdcg": {"channels": 20, "blocks": 3},
    "dslnet": {},
    "kpn_mfi": {"channels": 8, "blocks": (1, 1, 1, 1, 1)},
}
"""Small networks, where the signals between the parts allow it."""

TILED = [(model, name) for model in ARGUMENTS for name, part in parts.of(model).items() if part.tiling]


@pytest.fixture
def made():
    """`made(model)`: a small network whose parameters are a little off where they start, always alike."""

    def make(model):
        torch.manual_seed(1)
        network = registry.create(model, **ARGUMENTS[model])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape))
        return network.eval().requires_grad_(False)

    return make


@pytest.fixture
def card_of(made, tmp_path):
    """`card_of(model)`: a card of it for the torch engine, without graphs."""

    def make(model):
        path, data = tmp_path / f"{model}.safetensors", save(made(model).state_dict())
        path.write_bytes(data)
        reads = tuple({signal: 0 for part in parts.of(model).values() for signal in part.reads})
        return ModelCard(
            name=model,
            network=model,
            path=path.with_suffix(".toml"),
            files={"safetensors": ModelFile(path, hashlib.sha256(data).hexdigest())},
            paper="",
            parameters=0,
            reads=reads,
            writes="hdr",
            licence="",
            arguments={key: list(value) if isinstance(value, tuple) else value for key, value in ARGUMENTS[model].items()},
        )

    return make


@pytest.fixture
def engine():
    return engines.create("torch", device="cpu", threads=1)


def pictures(reads, height, width, engine=None):
    """One picture for each signal and frame: waves and noise that is brighter on the left, so that no two pieces are alike."""
    rng = np.random.default_rng(3)
    found = []
    for signal, offsets in reads.items():
        for _ in offsets:
            y, x = np.mgrid[:height, :width]
            rates = rng.uniform(5, 40, (parts.CHANNELS[signal], 2, 1, 1))
            wave = np.sin(x / rates[:, 0]) * np.cos(y / rates[:, 1]) + rng.normal(size=(len(rates), height, width))
            frame = (0.5 + 0.15 * wave + 0.4 * (x < width // 3))[None].astype(np.float32).clip(0, 1)
            found.append(engine.upload(frame) if engine else torch.from_numpy(frame))
    return found


# Several tiles each way that 32 does not divide; DSLNet cannot be made smaller, PDCG's halo is wide.
SIZES = {"hdcfm": [(161, 293), (260, 131)], "hdcfm_mfi": [(261, 150)], "pdcg": [(44, 701)], "dslnet": [(131, 166)]}


@pytest.mark.parametrize(("model", "name", "size"), [(*each, size) for each in TILED for size in SIZES[each[0]]])
def test_tiles_are_the_whole_frame(card_of, engine, model, name, size):
    card = card_of(model)
    arrays = pictures(card.parts[name].reads, *size, engine)
    tiled = tiling.TiledEngine(engine)
    network = tiled.load(card, name)
    whole = network(*arrays)
    tiled.side = 128
    found = network(*arrays)
    # Deformable taps look between pixels, at places that are rounded like their numbers in the frame or in the piece.
    bound = 2e-5 if name == "align" else 2e-6
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=bound * float(whole.abs().max()))
    assert torch.equal(found, tiling.TiledEngine(engine, 128).load(card, name)(*arrays))
    if card.parts[name].statistics:
        alone = engine.load(card, name)(*(array[:, :, :128, :128] for array in arrays))
        assert (alone - whole[:, :, :128, :128])[
            :, :, :32, :32
        ].abs().max() > 10 * bound  # what a tile would be with its own statistics


@pytest.mark.parametrize("model", ["hdcfm", "hdcfm_mfi"])
@pytest.mark.parametrize("size", [(161, 293), (259, 131)])
def test_conditions_of_a_thumbnail_are_those_of_the_whole_frame(card_of, engine, model, size, monkeypatch):
    monkeypatch.setitem(ARGUMENTS, model, {"channels": 20, "output": "light", "thumbnail": 48})
    card = card_of(model)
    arrays = pictures(card.parts["network"].reads, *size, engine)
    for graph in ("network.statistics", "network"):
        whole, tiled = (tiling.TiledEngine(engine, side).load(card, graph)(*arrays) for side in (None, 128))
        torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=2e-5)
    alone = engine.load(card)(*(array[:, :, :128, :128] for array in arrays))
    assert (alone - whole[:, :, :128, :128])[:, :, :32, :32].abs().max() > 2e-4


def test_statistics_and_what_takes_them(card_of, engine):
    card = card_of("hdcfm")
    arrays = pictures(card.parts["network"].reads, 70, 150, engine)
    other = torch.rand(1, graphs.statistics_size(registry.create("hdcfm", channels=20), "hdcfm", "network"), 1, 1)
    for graph, given in (("network.statistics", arrays), ("network.steady", [*arrays, other])):
        whole, tiled = (tiling.TiledEngine(engine, side).load(card, graph)(*given) for side in (None, 128))
        torch.testing.assert_close(tiled, whole, rtol=1e-5, atol=1e-6)


class OffsetsAlone(torch.nn.Module):
    """In the place of the deformable convolution, whose reach is measured while it runs."""

    def forward(self, x, offset):
        return offset


def looked_at(network, model, name, rows, length=640):
    """Whether what is kept of a piece depends on the pixels just inside and just outside of its halo, above and below it.

    Not a number is carried on by everything that looks at it, whatever the weights are.
    """
    part = parts.of(model)[name]
    halo, (first, last) = part.tiling.halo, rows
    if name == "align":
        network.align.deformable = OffsetsAlone()
    module = graphs.graph(network, model, f"{name}.steady" if part.statistics else name)
    arrays = pictures(part.reads, length, 64)
    if part.statistics:
        of = [
            array
            for key, array in zip(parts.input_names(part.reads), arrays, strict=True)
            if key.split("_")[0] in part.statistics
        ]
        arrays.append(graphs.graph(network, model, f"{name}.statistics")(*of))
    found = {}
    for row in (first - halo - 1, first - halo, last + halo - 1, last + halo):
        marked = [array.clone() for array in arrays]
        for array in marked[: len(marked) - bool(part.statistics)]:
            array[:, :, row] = float("nan")
        found[row] = bool(torch.isnan(module(*marked)[:, :, first:last]).any())
    return list(found.values())


# Heights that 32 does not divide are where maps are stretched most.
LENGTHS = {"pdcg": (568, (280, 288)), "dslnet": (417, (128, 224)), "hdcfm": (417, (128, 224)), "hdcfm_mfi": (417, (128, 224))}


@pytest.mark.parametrize(("model", "name"), TILED)
def test_halos_are_wide_enough(made, model, name, monkeypatch):
    if model == "pdcg":
        monkeypatch.setitem(ARGUMENTS, "pdcg", {"channels": 20})  # all sixteen blocks, which the halo is of
    length, rows = LENGTHS[model]
    above, inner_above, inner_below, below = looked_at(made(model), model, name, rows, length)
    assert not above and not below
    # And no wider, where it is not rounded up for maps at 1/32 or for offsets.
    if name == "enhance" or model == "pdcg":
        assert inner_above
    if name == "enhance":
        assert inner_below


def test_kept_is_what_statistics_are_measured_of(made):
    network = made("hdcfm")
    maker = graphs.graph(network, "hdcfm", "network.statistics").maker
    (frame,) = pictures({"sdr": (0,)}, 96, 160)
    window = Window(Span(0, 96, 0, 96, 96), Span(0, 160, 32, 96, 160))
    with inside(window):
        (mean, variance) = statistics.measure(lambda: maker(frame), torch.zeros(1, 0), 32, window.kept)
    pooled = network.condition.pool(network.condition.convs[0](frame))
    kept = torch.nn.functional.leaky_relu(pooled, 0.2)[:, :, :, 16:48]
    assert mean.positions == variance.positions == 48 * 32
    torch.testing.assert_close(mean.value.float().flatten(), kept.mean((0, 2, 3)))
    torch.testing.assert_close(variance.value.float().flatten(), kept.var((0, 2, 3), correction=0))


def test_frames_that_fit_are_run_whole(card_of, engine):
    card = card_of("hdcfm")
    arrays = pictures({"sdr": (0,)}, 100, 128, engine)
    tiled = tiling.TiledEngine(engine, 128).load(card)
    assert torch.equal(tiled(*arrays), engine.load(card)(*arrays))


@pytest.mark.parametrize("size", [(20, 300), (300, 31)])
def test_frames_that_are_extended_are_run_whole(card_of, engine, size):
    """Statistics are of what is extended too, to `engines.SMALLEST` pixels a side."""
    card = card_of("hdcfm")
    arrays = pictures({"sdr": (0,)}, *size, engine)
    statistics = engine.load(card, "network.statistics")(*arrays)
    for graph, given in (("network", arrays), ("network.statistics", arrays), ("network.steady", [*arrays, statistics])):
        assert torch.equal(tiling.TiledEngine(engine, 128).load(card, graph)(*given), engine.load(card, graph)(*given))


def test_graphs_in_files_in_tiles():
    """The shipped files, by the small install's engine."""
    from vs_hdrtv import weights

    pytest.importorskip("openvino")
    engine = engines.create("cpu")
    card = weights.find("dslnet")
    (features,) = (each.numpy() for each in pictures({"features": (0,)}, 70, 190))
    whole, tiled = (tiling.TiledEngine(engine, side).load(card, "enhance")(features) for side in (None, 128))
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="engine 'cpu': hdcfm in tiles needs engine='torch'"):
        tiling.TiledEngine(engine, 128).load(weights.find("hdcfm"))


def test_refusals(card_of, engine):
    with pytest.raises(InputError, match="tile: 64 pixels a side is too small; give at least 128, or None for whole frames"):
        tiling.TiledEngine(engine, 64)
    with pytest.raises(InputError, match="tile: kpn_mfi cannot be computed in tiles, its pixels depend on the whole frame"):
        tiling.TiledEngine(engine, 128).load(card_of("kpn_mfi"))
    assert tiling.TiledEngine(engine).load(card_of("kpn_mfi"))  # whole frames


def test_what_points_farther_than_the_halo_has_a_wider_one(card_of, engine, monkeypatch):
    card = card_of("dslnet")
    arrays = pictures({"sdr": (-1, 0, 1)}, 96, 420, engine)
    from vs_hdrtv.engines import torch_pieces
    from vs_hdrtv.networks import dslnet

    def far(self, window):
        offsets = plain(self, window)
        return offsets + torch.tensor([0.0, 90.5]).repeat(offsets.shape[1] // 2)[:, None, None]

    plain, measured, statistics = dslnet.LDOE.forward, [], torch_pieces.TorchPieces.statistics
    monkeypatch.setattr(torch_pieces.TorchPieces, "statistics", lambda *given: measured.append(1) or statistics(*given))
    monkeypatch.setattr(dslnet.LDOE, "forward", far)
    whole, tiled = (tiling.TiledEngine(engine, side).load(card, "align")(*arrays) for side in (None, 128))
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))
    assert len(measured) == 1
    monkeypatch.setattr(dslnet.windows, "check_reach", lambda *arguments, **options: None)
    tiled = tiling.TiledEngine(engine, 128).load(card, "align")(*arrays)
    assert (tiled - whole).abs().max() > 0.05 * whole.abs().max()


def test_it_is_the_engine_that_it_wraps(engine):
    tiled = tiling.TiledEngine(engine)
    assert (tiled.name, tiled.device, tiled.threads, tiled.unpacks) == ("torch", "cpu", 1, False)
    assert tiled.download(tiled.upload(np.ones((1, 3, 4, 5), np.float32))).shape == (1, 3, 4, 5)
