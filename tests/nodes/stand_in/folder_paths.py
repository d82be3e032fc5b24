"""Stand-in: folders below `base`, which a test sets."""

from pathlib import Path

base = Path()
models_dir = "models"
folder_names_and_paths = {}


def get_filename_list(name):
    folders, ends = folder_names_and_paths[name]
    found = (path for folder in folders if Path(folder).is_dir() for path in Path(folder).iterdir())
    return sorted(path.name for path in found if path.suffix in ends)


def get_full_path(name, file):
    folders, _ = folder_names_and_paths[name]
    return next((str(path) for folder in folders if (path := Path(folder) / file).is_file()), None)


def get_output_directory():
    return str(base / "output")


def get_temp_directory():
    return str(base / "temp")


def get_save_image_path(prefix, folder, width=0, height=0):
    path = Path(folder) / prefix
    path.parent.mkdir(parents=True, exist_ok=True)
    counter = len(list(path.parent.glob(f"{path.name}_*"))) + 1
    return str(path.parent), path.name, counter, str(path.parent.relative_to(folder)).removeprefix("."), prefix
