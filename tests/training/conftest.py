"""What several tests of training share."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """The tests' networks are too small for two, and sums change with their number."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of two small scenes, both in the train split."""
    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("stills")
    rng = np.random.default_rng(0)
    for name in ("dancing_hall_1k", "leafy_knoll_2k"):
        small = np.exp(rng.normal(0, 2, (6, 6, 3))).astype(np.float32)
        cv2.imwrite(str(folder / f"{name}.hdr"), cv2.resize(small, (64, 64)))
    return folder
