import cv2
import numpy as np
import pytest
import torch

from vs_hdrtv.color.gamut import luminance
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.color.transfer import bt1886_eotf, pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks.warping import warp
from vs_hdrtv.training import camera, clips, operators, pairs

STILL = clips.Motion(layers=0, exposure=0, cut=0, speed=0)


def panorama(seed=0, height=64):
    """A sky, a ground, lamps and colour, made by arithmetic; 60 times as bright at the lamps as in the middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, : 2 * height] / height
    light = 0.2 + 0.8 * (y < 0.5) + 0.15 * np.sin(8 * np.pi * x) * np.cos(6 * np.pi * y)
    picture = light[..., None] * rng.uniform(0.7, 1.3, 3)
    for _ in range(6):
        cy, cx = rng.uniform(0.3, 0.7), rng.uniform(0.1, 1.9)
        picture[np.hypot(y - cy, x - cx) < 0.06] = 40.0
    return picture.astype(np.float32)


def flat(seed=0):
    small = np.random.default_rng(seed).lognormal(0, 0.5, (6, 8, 3)).astype(np.float32)
    return cv2.resize(small, (80, 60), interpolation=cv2.INTER_LINEAR)


PICTURES = [panorama(0), flat(1), panorama(2)]


def make(key=(1, 2), **arguments):
    return clips.make_clip(PICTURES, 6, 32, key, **arguments)


@pytest.mark.parametrize("key", [(0, index) for index in range(6)])
def test_shapes_and_ranges(key):
    clip = make(key, variety=pairs.Variety(compression=0.5, peaks=0.5, gamut=0.5))
    for signal in (clip.sdr, clip.hdr):
        assert signal.shape == (6, 3, 32, 32)
        assert signal.dtype == np.float32
        assert np.isfinite(signal).all()
        assert 0 <= signal.min() < signal.max() <= 1
    assert clip.operator in operators.TRAINED
    assert all(0 < cut < 6 for cut in clip.cuts)


def test_a_function_of_seed_and_index():
    first, again, other = make((7, 3)), make((7, 3)), make((7, 4))
    np.testing.assert_array_equal(first.sdr, again.sdr)
    np.testing.assert_array_equal(first.hdr, again.hdr)
    assert not np.array_equal(first.sdr, other.sdr)


@pytest.mark.parametrize("share", ["gain_maps", "blends"])
def test_photographs_and_blends_stay_alike_from_frame_to_frame(share):
    variety = pairs.Variety(**{share: 1.0})
    for index in range(4):
        clip, plain = (make((3, index), motion=STILL, look=0.0, variety=each) for each in (variety, pairs.PLAIN))
        assert (clip.operator == pairs.GAIN_MAP) == (share == "gain_maps")
        assert not np.array_equal(clip.sdr, plain.sdr)
        for signal in (clip.sdr, clip.hdr):  # nothing moves but the zoom of a flat picture
            assert np.abs(np.diff(signal, axis=0)).mean() < 0.25 * signal.std()


def test_frames_of_a_photograph_are_finished_alike(monkeypatch):
    monkeypatch.setattr(pairs, "PHONES", 0.0)  # a phone's tone mapping is local: what is bright darkens what is around it
    frame = 0.1 * np.moveaxis(flat()[:32, :32], -1, 0).astype(np.float64)
    light = np.stack([frame, frame])
    light[1, :, :8, :8] *= 100
    for seed in range(8):
        sdr, hdr, _ = pairs.make_frames(light, np.random.default_rng(seed), variety=pairs.Variety(gain_maps=1.0))
        for signal in (sdr, hdr):
            np.testing.assert_array_equal(signal[0, :, 16:], signal[1, :, 16:])
        assert not np.array_equal(sdr[0], sdr[1])


def test_a_clip_of_photographs_is_its_sdr_version_and_brighter():
    clip = make((3, 1), look=0.0, variety=pairs.Variety(gain_maps=1.0))
    shown = luminance(pq_eotf(bt2408(clip.sdr.astype(np.float64))), "bt2020")
    gain = np.log2((luminance(pq_eotf(clip.hdr), "bt2020") + 0.01) / (shown + 0.01))[:, 0]  # (6, 32, 32)
    assert np.median(gain) > -0.05
    assert gain.max() > 0.3
    assert pairs.GAIN_MAP not in {make((3, index)).operator for index in range(4)}


def test_what_does_not_move_stays():
    # No pan, no sway (speed 0) on a flat picture but for the zoom: neighbours hardly differ; level, operator and grade are one.
    light = clips.slide(flat(), 5, 32, np.random.default_rng(0), 0.0)
    steps = np.abs(np.diff(light, axis=0)).mean(axis=(1, 2, 3))
    assert steps.max() < 0.2 * light.std()


@pytest.mark.parametrize("move", [clips.pan, clips.slide])
def test_a_camera_that_stands_still(move):
    light = move(panorama(0) if move is clips.pan else flat(0), 4, 32, np.random.default_rng(0), 0.0, 0.0)
    assert light.std() > 0
    np.testing.assert_array_equal(light, light[:1].repeat(4, axis=0))


@pytest.mark.parametrize("move", [clips.pan, clips.slide])
def test_cameras_move_smoothly(move):
    for seed in range(5):
        picture = panorama(seed) if move is clips.pan else flat(seed)
        light = move(picture, 8, 32, np.random.default_rng(seed), 1.0)
        assert light.shape == (8, 32, 32, 3)
        near = np.abs(np.diff(light, axis=0)).mean()
        assert 0 < near < 0.6 * np.abs(light - light[:, ::-1].copy()).mean()


def test_slide_follows_the_picture():
    # A ramp: the value at the middle of the view is the middle's coordinate, and the views' slopes are the windows' sizes.
    y, x = np.mgrid[:100, :120].astype(np.float32) + 0.5
    views = clips.slide(np.stack([x, y, x + y], axis=-1), 4, 40, np.random.default_rng(3), 1.0)
    np.testing.assert_allclose(views[..., 2], views[..., 0] + views[..., 1], rtol=1e-4)
    assert views[..., 0].min() >= 0
    assert views[..., 0].max() <= 120
    steps_right, steps_down = np.diff(views[..., :2], axis=2), np.diff(views[..., :2], axis=1)
    # A turn and one scale: moving right by a pixel is moving down by a pixel, turned by 90 degrees.
    np.testing.assert_allclose(np.median(steps_right[..., 0], (1, 2)), np.median(steps_down[..., 1], (1, 2)), rtol=0.05)
    np.testing.assert_allclose(np.median(steps_right[..., 1], (1, 2)), -np.median(steps_down[..., 0], (1, 2)), atol=0.01)


def test_cuts_are_where_the_clip_says():
    found = 0
    for index in range(12):
        clip = clips.make_clip(PICTURES, 8, 32, (5, index), clips.Motion(layers=0, exposure=0, cut=1, speed=0.2))
        (cut,) = clip.cuts
        steps = np.abs(np.diff(clip.sdr, axis=0)).mean(axis=(1, 2, 3))  # step k leads to frame k + 1
        found += int(np.argmax(steps)) + 1 == cut
    assert found == 12


def test_without_cuts_none_is_made():
    assert all(make((9, index), motion=clips.Motion(cut=0)).cuts == () for index in range(5))


def test_layers_change_part_of_a_view():
    masks = clips._layer_masks(5, 48, np.random.default_rng(1))
    assert 0.02 < masks.mean() < 0.6
    assert masks.min() == 0
    assert masks.max() == 1
    assert 0 < np.abs(np.diff(masks, axis=0)).mean() < 0.1


def test_exposure_moves_light_smoothly():
    for seed in range(30):
        track = clips.exposure_track(np.random.default_rng(seed), 40)
        assert track.shape == (40,)
        assert track.min() > 0
        assert np.abs(np.diff(np.log2(track))).max() < 1.1  # stops a frame


def test_exposure_clips_follow_equation_14():
    made = [clips.make_exposure_clip(PICTURES, 6, 32, (3, index)) for index in range(6)]
    for clip in made:
        # VITM-TC, equation 14: coded = clip(light)^(1/2.2); light is what is not clipped.
        np.testing.assert_allclose(clip.coded, np.clip(clip.linear, 0, 1) ** (1 / 2.2), atol=1e-5)
        assert clip.exposure.shape == (6,)
    assert sum(clip.linear.max() > 1 for clip in made) >= 4  # the lamps: something to recover


def test_sdr_clips_linearised():
    sdr = np.random.default_rng(0).random((5, 3, 16, 16)).astype(np.float32)
    clip = clips.linearised(sdr, (1, 1))
    light = bt1886_eotf(sdr.astype(np.float64))
    ratio = clip.linear / light
    # One factor a frame, of at least one stop on average: more clips than did.
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio.mean(axis=(1, 2, 3), keepdims=True), ratio.shape), rtol=1e-4)
    assert (clip.coded == 1).mean() > 0.05
    np.testing.assert_array_equal(clip.linear, clips.linearised(sdr, (1, 1)).linear)


def test_one_operator_one_grade_one_level_a_clip():
    # The same light at two times gives the same SDR and the same HDR.
    frames = [flat(number)[:32, :32].astype(np.float64) for number in (0, 1, 0)]
    light = pairs.expose(np.moveaxis(np.stack(frames), -1, 1), np.random.default_rng(0))
    for name in operators.TRAINED:
        sdr, hdr, _ = pairs.make_frames(light, np.random.default_rng(4), name)
        np.testing.assert_array_equal(sdr[0], sdr[2])
        np.testing.assert_array_equal(hdr[0], hdr[2])
    assert pq_eotf(hdr).max() <= pairs.MASTER_PEAK * 1.001


def test_black_pictures_are_refused():
    with pytest.raises(InputError, match="clips: 100 views in a row were black"):
        clips.make_clip([np.zeros((32, 64, 3), np.float32)], 3, 16, (0, 0))


def test_a_generator_for_a_key_and_the_primaries_of_the_pictures():
    one = clips.make_clip(PICTURES, 3, 32, (4, 1))
    other = clips.make_clip(PICTURES, 3, 32, np.random.default_rng((4, 1)))
    np.testing.assert_array_equal(one.hdr, other.hdr)
    # A pure BT.2020 green lies outside BT.709: taken for one of BT.709, the master is less green.
    green = [np.broadcast_to(np.float32([0.02, 1.0, 0.02]), (48, 48, 3)) * flat()[:48, :48, :1]]
    wide, narrow = (clips.make_clip(green, 3, 32, (4, 2), STILL, primaries=name).hdr for name in ("bt2020", "bt709"))
    assert (pq_eotf(wide)[:, 0].mean() / pq_eotf(wide)[:, 1].mean()) < 0.3 * pq_eotf(narrow)[:, 0].mean() / pq_eotf(narrow)[
        :, 1
    ].mean()


def test_a_panorama_averaged_once_gives_the_views_of_one_averaged_each_time():
    fine = cv2.resize(panorama(height=512), (1024, 512))
    rng = np.random.default_rng(2)
    poses = camera.path(rng, camera.random_pose(rng, 32, 1024), 3, 0.5)
    expected = np.stack([camera.view(fine, pose, 32, 32) for pose in poses])
    found = clips.pan(fine, 3, 32, np.random.default_rng(2), 0.5)
    assert np.abs(found - expected).mean() < 0.03 * expected.mean()


class TestOpticalFlow:
    @staticmethod
    def moving(right, down, frames=3, size=64):
        """Content moves right and down by so many pixels a frame."""
        base = cv2.resize(np.random.default_rng(3).random((12, 12)).astype(np.float32), (size + 32, size + 32))
        cut = [base[16 - down * n :, 16 - right * n :][:size, :size] for n in range(frames)]
        return np.repeat(np.stack(cut)[:, None], 3, axis=1) * np.float32(0.6)

    def test_a_known_motion(self):
        flow = clips.optical_flow(self.moving(2, -1))
        assert flow.shape == (2, 1, 2, 64, 64)
        inside = flow[..., 8:-8, 8:-8].mean(axis=(-2, -1))  # (2, 1, 2)
        # What is at p was at p - (2, -1) and will be at p + (2, -1).
        np.testing.assert_allclose(inside[:, 0], [[-2, 1], [2, -1]], atol=0.1)

    def test_it_aligns_as_the_loss_warps(self):
        hdr = self.moving(3, 1)
        to_previous, to_next = (torch.from_numpy(each) for each in clips.optical_flow(hdr))  # (1, 2, 64, 64)
        frames = torch.from_numpy(hdr)
        for number, flow in ((0, to_previous), (2, to_next)):
            error = (warp(frames[number : number + 1], flow) - frames[1:2])[..., 8:-8, 8:-8].abs().mean()
            assert error < 0.1 * (frames[number] - frames[1]).abs().mean()

    def test_it_does_not_follow_the_number_of_threads(self):
        hdr, threads = self.moving(2, 2, frames=5), cv2.getNumThreads()
        found = []
        for number in (1, 4):
            cv2.setNumThreads(number)
            found.append(clips.optical_flow(hdr))
            assert cv2.getNumThreads() == number
        cv2.setNumThreads(threads)
        np.testing.assert_array_equal(*found)
        assert found[0].shape == (2, 3, 2, 64, 64)
