"""The encoder of images: closed forms, the numbers of the publication, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from seeing import seeing

from vdd_ros.errors import UserError
from vdd_ros.policies.augment import AugmentConfig, augmented, middle
from vdd_ros.policies.encoder import Encoder, EncoderConfig, ImageNet, make_encoder
from vdd_ros.policies.nets import NetSizes, count_parameters
from vdd_ros.policies.resnet import ResNet18, SpatialSoftmax
from vdd_ros.policies.transformer import TransformerTrunk, WindowTokens

SEEING = seeing()
SMALL = EncoderConfig(channels=4, stages=2, keypoints=4, features=6)


def random_pixels(rows: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, height, width, 3), generator=generator).to(torch.uint8)


def test_it_is_the_resnet_of_the_publication():
    # 11,689,512 of torchvision's resnet18, less its classifier of 1000 classes
    assert count_parameters(ResNet18()) == 11_689_512 - (512 * 1000 + 1000)
    maps = ResNet18(channels=8)(random_pixels(2, 96, 96))
    assert maps.shape == (2, 64, 3, 3)
    assert ResNet18(channels=8, stages=3)(random_pixels(2, 96, 64)).shape == (2, 32, 6, 4)


def test_what_a_row_becomes_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    net, pixels = ImageNet(SMALL), random_pixels(5, 32, 24)
    torch.testing.assert_close(net(pixels)[2:3], net(pixels[2:3]), rtol=1e-5, atol=1e-5)


def test_a_keypoint_is_the_place_of_the_bright_spot():
    softmax = SpatialSoftmax(3, 3)
    with torch.no_grad():
        softmax.maps.weight.copy_(torch.eye(3)[:, :, None, None])
    maps = torch.zeros(1, 3, 5, 9)
    maps[0, 0, 4, 0] = 100.0  # the lower left corner
    maps[0, 1, 2, 6] = 100.0
    found = softmax(maps)[0].view(3, 2)
    torch.testing.assert_close(found[0], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(found[1], torch.tensor([0.5, 0.0]))
    torch.testing.assert_close(found[2], torch.tensor([0.0, 0.0]))  # nowhere is the middle


def test_it_learns_where_something_is():
    """A square somewhere in noise; its place has to come out to a few hundredths of the width."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    config = EncoderConfig(channels=8, stages=1, keypoints=4, features=8)
    net = torch.nn.Sequential(ImageNet(config), torch.nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=200)
    for _ in range(200):
        loss = _error(net, generator, 32)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        assert _error(net, generator, 200).sqrt() < 0.05
        assert _error(torch.nn.Sequential(ImageNet(config), net[1]), generator, 200).sqrt() > 0.2


def _error(net: torch.nn.Module, generator: torch.Generator, rows: int) -> torch.Tensor:
    pixels = torch.randint(0, 100, (rows, 32, 32, 3), generator=generator).to(torch.uint8)
    place = torch.randint(0, 26, (rows, 2), generator=generator)
    for row, (top, left) in enumerate(place.tolist()):
        pixels[row, top : top + 6, left : left + 6, 0] = 250
    return (net(pixels) - place / 25.0).square().mean()


def test_each_image_has_a_network_of_its_own_unless_they_share_one():
    apart, together = Encoder(SMALL, SEEING), make_encoder(EncoderConfig(shared=True), SEEING)
    assert len(apart.nets) == 2 and len(together.nets) == 1
    assert together.net(0) is together.net(1) and apart.net(0) is not apart.net(1)
    pixels = [random_pixels(3, *image.shape[:2]) for image in SEEING.images]
    ages_s = torch.tensor([[0.0, 1 / 30], [1 / 60, 0.0], [0.1, 0.1]])
    found = apart(pixels, ages_s)
    assert found.shape == (3, 2 * 7) and apart.image_dim == 7
    # ages are told in periods of their camera, after the image's features
    torch.testing.assert_close(found[:, [6, 13]], ages_s * 30.0)
    torch.testing.assert_close(found[:, 7:13], apart.net(1)(middle(pixels[1], SMALL.augment)))


def torchvision_like(weights: dict) -> dict:
    """Under torchvision's names, with what only it has."""
    named = {name.replace("norm", "bn"): tensor.clone() for name, tensor in weights.items()}
    more = {"bn1.running_mean": torch.zeros(64), "bn1.num_batches_tracked": torch.tensor(1)}
    return named | more | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_weights_of_a_resnet_of_others_and_of_an_encoder_can_be_begun_with(tmp_path):
    torch.manual_seed(3)
    resnet = ResNet18()
    path = tmp_path / "resnet18.safetensors"
    save_file(torchvision_like(resnet.state_dict()), path)
    encoder = make_encoder(EncoderConfig(weights=str(path), stages=3), SEEING)
    for net in encoder.nets:
        for name, tensor in net.resnet.state_dict().items():
            torch.testing.assert_close(tensor, resnet.state_dict()[name])
    own = Encoder(SMALL, SEEING)
    save_file(own.state_dict(), tmp_path / "encoder.safetensors")
    begun = EncoderConfig(4, 2, 4, 6, weights=str(tmp_path / "encoder.safetensors"))
    for name, tensor in make_encoder(begun, SEEING).state_dict().items():
        torch.testing.assert_close(tensor, own.state_dict()[name])


def test_weights_that_do_not_fit_are_told(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(UserError, match="encoder.weights, is missing: name another file"):
        make_encoder(EncoderConfig(weights=str(path)), SEEING)
    for legacy in (False, True):
        torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(UserError, match="is a pickle of torch, .* is not opened: save its"):
            make_encoder(EncoderConfig(weights=str(path)), SEEING)
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="damaged"):
        make_encoder(EncoderConfig(weights=str(path)), SEEING)
    save_file(torchvision_like(ResNet18(stages=2).state_dict()), path)
    with pytest.raises(UserError, match="lacks layer3.0.conv1.weight and 29 more of a ResNet-18"):
        make_encoder(EncoderConfig(weights=str(path)), SEEING)
    with pytest.raises(UserError, match=r"conv1.weight in .* has the shape \(64, 3, 7, 7\)"):
        make_encoder(EncoderConfig(channels=16, stages=2, weights=str(path)), SEEING)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: EncoderConfig(stages=5), "1 to 4 stages"),
        (lambda: EncoderConfig(features=0), "must be positive"),
        (lambda: AugmentConfig(part=1.2), "a share above 0"),
        (lambda: AugmentConfig(colour=1.0), "below 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()


def test_acting_sees_the_middle_and_training_any_part_in_any_colour():
    pixels = random_pixels(64, 20, 30)
    config = AugmentConfig(part=0.8, colour=0.0)
    np.testing.assert_array_equal(middle(pixels, config), pixels[:, 2:18, 3:27])
    found = augmented(pixels, config, torch.Generator().manual_seed(5))
    places = {
        (top, left)
        for row in range(64)
        for top in range(5)
        for left in range(7)
        if torch.equal(found[row], pixels[row, top : top + 16, left : left + 24])
    }
    assert {top for top, _ in places} == set(range(5))
    assert {left for _, left in places} == set(range(7))


def test_colours_change_row_by_row_and_the_same_seed_gives_the_same():
    flat = torch.full((200, 8, 8, 3), 100, dtype=torch.uint8)
    config = AugmentConfig(part=1.0, colour=0.2)
    found = augmented(flat, config, torch.Generator().manual_seed(0))
    assert found.dtype == torch.uint8
    levels = found.float().mean((1, 2, 3))
    # of one grey, contrast and saturation change nothing: what is left is brightness
    assert (found == found[:, :1, :1, :1]).all()
    assert 80 <= levels.min() < 83 and 117 < levels.max() <= 120
    again = augmented(flat, config, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
    assert torch.equal(augmented(flat, AugmentConfig(1.0, 0.0), torch.Generator()), flat)


def test_images_join_a_transformer_as_tokens():
    torch.manual_seed(0)
    sizes = NetSizes(3, 6 + 2 * 5, dim=1, images=2, image_dim=5)
    tokens = WindowTokens(sizes, 16, 2)
    cond = torch.randn(4, 16)
    found = tokens(cond)
    assert found.shape == (4, 2 + 2, 16)
    other = cond.clone()
    other[:, 11:] += 1.0  # the second image
    changed = (tokens(other) != found).any(-1).any(0)
    assert changed.tolist() == [False, True, False, False]
    trunk = TransformerTrunk(sizes, 16, 1, 2, 2)
    assert not torch.allclose(trunk(cond), trunk(other)), "its last token sees every image"
    with pytest.raises(ValueError, match="7 features are no rows of 3 readings"):
        WindowTokens(sizes._replace(cond_dim=17), 16, 2)
