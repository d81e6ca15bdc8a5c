"""Average the parameters of a run's checkpoints.

Usage:
    python average_checkpoints.py --last 5 --user-dir rnn_s2s_plugin --output RUN_DIR/averaged.pt RUN_DIR
    python average_checkpoints.py --best 5 ... RUN_DIR         those kept by --keep-best-checkpoints
    python average_checkpoints.py --user-dir ... --output averaged.pt A.pt B.pt
"""

import argparse
import importlib
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from files import RecipeError, atomic, run_tool

LOWER_IS_BETTER = ("loss", "nll_loss", "ppl")


def allow_fairseq_types(user_dir: str) -> None:
    """Import the plugin, which allows the types that a checkpoint may contain, and no others."""
    folder = Path(user_dir).resolve()
    if not (folder / "__init__.py").is_file():
        raise RecipeError(f"--user-dir {user_dir}: no Python package there")
    sys.path.insert(0, str(folder.parent))
    importlib.import_module(folder.name)


def last_checkpoints(folder: Path, number: int) -> list[Path]:
    """The last ``number`` of epochs (checkpoint7.pt) and within epochs (checkpoint_7_12000.pt)."""
    found = []
    for path in folder.glob("checkpoint*.pt"):
        if match := re.fullmatch(r"checkpoint(\d+)|checkpoint_(\d+)_(\d+)", path.stem):
            epoch, inner_epoch, updates = match.groups()
            found.append((int(epoch or inner_epoch), float(updates or "inf"), path))
    return [path for *_, path in sorted(found)[-number:]]


def best_checkpoints(folder: Path, number: int) -> list[Path]:
    """The best ``number`` checkpoints by validation, which carry metric and value in their names."""
    found = []
    for path in folder.glob("checkpoint.best_*.pt"):
        if match := re.fullmatch(r"checkpoint\.best_(.+)_(\d+\.\d+)", path.stem):
            value = float(match[2])
            found.append((value if match[1] in LOWER_IS_BETTER else -value, path))
    return [path for _, path in sorted(found)[:number]]


def choose(args: argparse.Namespace) -> list[Path]:
    """The checkpoints named, or found in the one folder named."""
    for option, number, find in (("--last", args.last, last_checkpoints), ("--best", args.best, best_checkpoints)):
        if number is None:
            continue
        if number < 1:
            raise RecipeError(f"{option} must be at least 1, got {number}")
        if len(args.paths) != 1 or not args.paths[0].is_dir():
            raise RecipeError(f"{option} takes one folder, not {' '.join(map(str, args.paths))}")
        return in_folder(args.paths[0], number, find)
    return args.paths


def in_folder(folder: Path, number: int, find: Callable[[Path, int], list[Path]]) -> list[Path]:
    """What ``find`` finds in a folder; with a warning where that is less than asked for."""
    found = find(folder, number)
    if not found:
        fallback = folder / "checkpoint_best.pt"
        if not fallback.exists():
            raise RecipeError(f"no checkpoint in {folder}: train first")
        if find is best_checkpoints:
            raise RecipeError(
                f"{folder} holds no checkpoint.best_….pt: only a training with AVERAGE_BY=best "
                "(--keep-best-checkpoints) keeps them; train with it and another RUN, or average the last ones"
            )
        print(f"warning: {folder} holds no checkpoint of a whole epoch: {fallback.name} is taken as it is")
        return [fallback]
    if len(found) < number:
        print(f"warning: {folder} holds {len(found)} checkpoints, not {number}: these are averaged")
    return found


def load(path: Path) -> dict:
    """Load a checkpoint without running any code in it."""
    if not path.is_file():
        raise RecipeError(f"no such checkpoint: {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path} cannot be read as a checkpoint: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict) or "model" not in state:
        raise RecipeError(f"{path} is no checkpoint of fairseq: it holds no model")
    return state


def compare(path: Path, model: dict, first_path: Path, first: dict) -> None:
    """Raise unless two models have the same parameters in the same shapes."""
    for name in sorted(first.keys() ^ model.keys()):
        raise RecipeError(f"{first_path} and {path} are not of one model: only one of them has {name}")
    for name, tensor in model.items():
        if tensor.shape != first[name].shape:
            raise RecipeError(
                f"{first_path} and {path} are not of one model: {name} is "
                f"{tuple(first[name].shape)} in the first, {tuple(tensor.shape)} in the second"
            )


def average(paths: list[Path]) -> dict:
    """The last checkpoint with the mean of all parameters (summed in float64) and without optimizer state."""
    sums, state, first = {}, None, None
    for path in paths:
        state = load(path)
        model = state["model"]
        first = first or model
        compare(path, model, paths[0], first)
        for name, tensor in model.items():
            if tensor.is_floating_point():
                sums[name] = sums.get(name, 0) + tensor.double()
    for name, total in sums.items():
        state["model"][name] = (total / len(paths)).to(state["model"][name].dtype)
    state["last_optimizer_state"] = None
    return state


def save(state: dict, path: str) -> None:
    """Write a checkpoint, which has its name only once it is complete."""
    with atomic(path, binary=True) as (out,):
        try:
            torch.save(state, out)
        except RuntimeError as error:  # of PyTorch, on top of the system's about a full disk
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--last", type=int, metavar="N", help="average the last N")
    kind.add_argument("--best", type=int, metavar="N", help="average the best N by validation")
    parser.add_argument("--user-dir", required=True, help="folder of the plugin; none for models of fairseq alone")
    parser.add_argument("--output", required=True)
    parser.add_argument("paths", nargs="+", type=Path, help="checkpoints, or with --last or --best one folder")
    args = parser.parse_args()
    paths = choose(args)
    if args.user_dir != "none":
        allow_fairseq_types(args.user_dir)
    state = average(paths)
    save(state, args.output)
    print(f"{args.output}: mean of {', '.join(path.name for path in paths)}")


if __name__ == "__main__":
    run_tool(main)
