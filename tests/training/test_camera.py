import math

import numpy as np
import pytest

from vs_hdrtv.training import camera


def panorama(height=128):
    """(H, 2H, 3): sine and cosine of longitude, both moved up by 2, and latitude in degrees plus 100."""
    latitude, longitude = np.meshgrid(
        90 - (np.arange(height) + 0.5) * 180 / height, (np.arange(2 * height) + 0.5) * 180 / height - 180, indexing="ij"
    )
    planes = [np.sin(np.radians(longitude)) + 2, np.cos(np.radians(longitude)) + 2, latitude + 100]
    return np.stack(planes, axis=-1).astype(np.float32)


def angles(view):
    return np.degrees(np.arctan2(view[..., 0] - 2, view[..., 1] - 2)), view[..., 2] - 100


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (75, 0), (180, 0), (-120, 20), (30, -40)])
def test_the_middle_of_a_view_is_where_the_camera_looks(yaw, pitch):
    longitude, latitude = angles(camera.view(panorama(), camera.Pose(yaw, pitch, field=60), 33, 33))
    assert (longitude[16, 16] - yaw + 180) % 360 - 180 == pytest.approx(0, abs=0.5)
    assert latitude[16, 16] == pytest.approx(pitch, abs=0.5)


def test_the_field_of_view_and_its_perspective():
    longitude, latitude = angles(camera.view(panorama(256), camera.Pose(0, field=90), 65, 65))
    # Rectilinear: a pixel x from the middle lies at atan(x / focal), focal = half the width / tan(45 degrees).
    for x in (-32, -20, 10, 32):
        assert longitude[32, 32 + x] == pytest.approx(math.degrees(math.atan(x / 32.5)), abs=0.4)
        assert latitude[32 + x, 32] == pytest.approx(-math.degrees(math.atan(x / 32.5)), abs=0.4)


def test_roll_turns_the_picture_clockwise():
    _, latitude = angles(camera.view(panorama(), camera.Pose(0, roll=20), 33, 33))
    # The horizon falls to the right: what stands there at half height lies above it.
    assert latitude[16, 32] > 2
    assert latitude[16, 0] < -2


def test_light_is_kept_where_the_panorama_is_finer_than_the_view():
    checkered = np.ones((256, 512, 3), np.float32)
    checkered[::2, ::2] = checkered[1::2, 1::2] = 101  # 51 on average
    seen = camera.view(checkered, camera.Pose(10, field=90), 24, 24)
    np.testing.assert_allclose(seen, 51, rtol=0.15)


def test_no_seam_behind_the_camera():
    view = camera.view(panorama(), camera.Pose(180, field=80), 48, 48)
    assert np.abs(np.diff(view[..., 0], axis=1)).max() < 0.06


def test_random_poses_do_not_magnify_and_stay_off_the_poles():
    poses = [camera.random_pose(np.random.default_rng(seed), 128, 1024) for seed in range(60)]
    for pose in poses:
        focal = 64 / math.tan(math.radians(pose.field) / 2)
        assert focal * 2 * math.pi / 1024 <= camera.LARGEST_MAGNIFICATION + 1e-6 or pose.field == camera.FIELDS_OF_VIEW[1]
        assert abs(pose.pitch) <= camera.PITCH
        assert camera.FIELDS_OF_VIEW[0] <= pose.field <= camera.FIELDS_OF_VIEW[1]
    assert np.ptp([pose.yaw for pose in poses]) > 180


def test_paths_and_tracks_are_smooth():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        track = camera.smooth_track(rng, 40, 2.0)
        # The bound that its documentation states: the slopes of three sines of the shortest period.
        assert np.abs(np.diff(track)).max() < 2 * math.pi / 12 * math.sqrt(6) * 2.0
        poses = camera.path(rng, camera.Pose(0, field=60), 40, speed=0.5)
        assert len(poses) == 40
        turns = np.diff([pose.yaw for pose in poses])
        assert np.abs(np.diff(turns)).max() < 2.5  # degrees a frame a frame
        assert all(20 <= pose.field <= 120 for pose in poses)
