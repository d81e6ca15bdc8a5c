"""Set truncated checkpoints aside, so that training resumes from a complete one.

Usage:
    python mend_checkpoints.py RUN_DIR

A checkpoint is a zip archive with its directory at the end, so a truncated file is not a valid archive. Such a file is
renamed to NAME.broken; if it was checkpoint_last.pt, the newest complete checkpoint takes its place.
"""

import argparse
import os
import shutil
import zipfile
from pathlib import Path

from files import RecipeError, run_tool


def mend(folder: Path) -> None:
    """Set aside the truncated checkpoints of one folder."""
    whole, broken = [], []
    for path in folder.glob("checkpoint*.pt"):
        (whole if zipfile.is_zipfile(path) else broken).append(path)
    for path in broken:
        path.rename(path.with_name(path.name + ".broken"))
        print(f"{path} was cut short and is now {path.name}.broken")
    last = folder / "checkpoint_last.pt"
    if last not in broken:
        return
    if not whole:
        raise RecipeError(f"{folder} has no whole checkpoint: remove the folder to train from the beginning")
    newest = max(whole, key=lambda path: path.stat().st_mtime)
    shutil.copyfile(newest, f"{last}.tmp")
    os.replace(f"{last}.tmp", last)
    print(f"{last} is now a copy of {newest.name}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    mend(parser.parse_args().folder)


if __name__ == "__main__":
    run_tool(main)
