"""``inspect show DATA --path CHECKPOINT …``: a page and pictures of what a model computes for sentences."""

from pathlib import Path
from typing import List

from fairseq import options

from ..files import check_folder
from .arguments import add_sentence_arguments, inspect_from, model_parser
from .capture import convolutions
from .page import write_page
from .pictures import draw_attention, draw_convolution, draw_gates, plotting
from .sentences import Inspection
from .views import View, view
from .words import readable

MOST = 50


def main(arguments: List[str]) -> None:
    """The command line."""
    parser = model_parser(
        "show", "Draw attention, scores, context convolution and gates: pictures, and one page that needs no network."
    )
    group = add_sentence_arguments(parser, MOST)
    group.add_argument("--output", metavar="FOLDER", default="inspection", help="where to write (default: %(default)s)")
    group.add_argument(
        "--pictures", choices=("png", "svg", "none"), default="png", help="kind of pictures (default: %(default)s)"
    )
    args = options.parse_args_and_arch(parser, input_args=arguments)
    folder = Path(args.output)
    check_folder("--output", folder)
    if args.pictures != "none":
        plotting()  # refuses without matplotlib
    loaded, inspections = inspect_from(args)
    shares = [share.cpu().numpy() for share in convolutions(loaded.model)]
    views = [view(inspection, args.post_process) for inspection in inspections]
    folder.mkdir(parents=True, exist_ok=True)
    write_page(folder / "index.html", loaded.name, type(loaded.model).__name__, inspections, args.post_process, shares)
    written = ["index.html"]
    if args.pictures != "none":
        written += draw(folder, args.pictures, inspections, views, shares)
    for inspection in inspections:
        print(f"{inspection.number}\t{inspection.score:.4f}\t{readable(inspection.target[:-1], args.post_process)}")
    print(f"wrote {folder}: {', '.join(written[:4])}" + (f" and {len(written) - 4} more" if len(written) > 4 else ""))


def draw(folder: Path, kind: str, inspections: List[Inspection], views: List[View], shares: list) -> List[str]:
    """Draws all pictures; returns their names."""
    names = []
    if shares:
        names.append(f"context_conv.{kind}")
        draw_convolution(folder / names[-1], shares)
    for inspection, shown in zip(inspections, views):
        if shown.attention is not None:
            names.append(f"attention_{inspection.number}.{kind}")
            draw_attention(folder / names[-1], shown)
        if inspection.decays:
            names.append(f"gates_{inspection.number}.{kind}")
            draw_gates(folder / names[-1], inspection)
    return names
