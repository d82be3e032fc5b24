import pytest
import torch
from torch import nn

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import blocks, registry
from vs_hdrtv.training import devices, losses

pytestmark = pytest.mark.usefixtures("one_thread")


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose("auto") == devices.choose("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match=r"^train: device 'cuda' is not there; choose one of auto, cpu"):
        devices.choose("cuda")
    with pytest.raises(InputError, match="device 'toaster' is not there"):
        devices.choose("toaster")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose("auto") == devices.choose("cuda") == torch.device("cuda:0")
    assert devices.choose("cuda:1") == torch.device("cuda:1")
    assert devices.choose("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="choose one of auto, cpu, cuda:0, cuda:1"):
        devices.choose("cuda:2")


def test_defaults_of_devices(monkeypatch):
    cpu, card = torch.device("cpu"), torch.device("cuda:0")
    assert [devices.default_precision(each) for each in (cpu, card)] == ["float32", "bfloat16"]
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 16)
    assert [devices.default_workers(each) for each in (cpu, card)] == [1, devices.MOST_WORKERS]
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 1)
    assert devices.default_workers(card) == 1


def test_float32_is_the_network_itself():
    network = nn.Conv2d(3, 3, 1)
    assert devices.in_precision(network, torch.device("cpu"), "float32") is network
    with pytest.raises(InputError, match="unknown precision 'int8'; choose one of float32, bfloat16, float16"):
        devices.in_precision(network, torch.device("cpu"), "int8")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_and_comes_out_as_float32(precision):
    torch.manual_seed(0)
    network = registry.create("hdcfm", dropout=0.0)
    half = devices.in_precision(network, torch.device("cpu"), precision)
    sdr, hdr = torch.rand(2, 1, 3, 32, 32).unbind()
    found = []
    for each in (network, half):
        result = each(sdr)
        assert result.dtype == torch.float32
        loss = (result - hdr).abs().mean() + losses.ictcp_difference(result, hdr)
        network.zero_grad()
        loss.backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        found.append((result.detach(), loss.item(), gradient))
    (one, loss, gradient), (other, loss_of_half, gradient_of_half) = found
    assert not torch.equal(one, other)  # it was computed in half precision
    assert loss_of_half == pytest.approx(loss, rel=0.02)
    assert (gradient_of_half - gradient).norm() < 0.1 * gradient.norm()
    assert all(parameter.dtype == parameter.grad.dtype == torch.float32 for parameter in network.parameters())


def test_the_written_out_gradient_is_that_of_autograd_under_autocast():
    torch.manual_seed(0)
    shapes = ((1, 4, 8, 8), (1, 4, 9), (1, 9, 8, 8))
    found = []
    for function in (blocks.dynamic_filter, blocks._DynamicFilter.apply):
        torch.manual_seed(0)
        signals = [torch.rand(shape, requires_grad=True) for shape in shapes]
        with torch.autocast("cpu", torch.bfloat16):
            # As under autocast in a network: what comes from convolutions is bfloat16.
            result = function(*(signal.bfloat16() for signal in signals))
        assert result.dtype == torch.bfloat16
        result.float().square().sum().backward()
        found.append([signal.grad for signal in signals])
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_all_frames_in_half_precision():
    class Three(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def all_frames(self, *frames):
            result = torch.stack([self.layer(frame) for frame in frames], dim=1)
            assert result.dtype == torch.bfloat16
            return result

    network = Three()
    half = devices.in_precision(network, torch.device("cpu"), "bfloat16")
    frames = torch.rand(3, 2, 3, 8, 8)
    result = half.all_frames(*frames)
    assert result.dtype == torch.float32
    expected = torch.stack([network.layer(frame) for frame in frames], dim=1)
    assert 0 < (result - expected).abs().max() < 0.02
