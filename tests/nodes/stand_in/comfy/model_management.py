"""Stand-in: a machine with a CPU and nothing else."""

import torch


class OOM_EXCEPTION(Exception):  # noqa: N801, N818  # its name in ComfyUI
    pass


unloaded = []


def get_torch_device():
    return torch.device("cpu")


def intermediate_device():
    return torch.device("cpu")


def free_memory(required, device):
    raise AssertionError("there is no device to make room on")


def unload_all_models():
    unloaded.append(True)


def soft_empty_cache():
    pass


interrupted = []


def throw_exception_if_processing_interrupted():
    if interrupted:
        interrupted.clear()
        from .utils import Cancelled

        raise Cancelled
