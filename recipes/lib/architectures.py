"""Check that fairseq knows the architectures that a recipe is to train.

Usage:
    python architectures.py --user-dir rnn_s2s_plugin ARCH=rnn_attn TEACHER=rnn_attn_multi30k
    python architectures.py --user-dir none ARCH=transformer        models of fairseq alone
"""

import argparse
import difflib
import logging

from files import RecipeError, run_tool


def known_architectures(user_dir: str) -> list[str]:
    """All names of ``fairseq-train --arch``, those of the plugin among them."""
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # asks for tensorboardX
    from fairseq import utils
    from fairseq.models import ARCH_MODEL_REGISTRY

    try:
        utils.import_user_module(argparse.Namespace(user_dir=None if user_dir == "none" else user_dir))
    except FileNotFoundError as error:
        raise RecipeError(
            f"USER_DIR={user_dir} cannot be imported, {error} is missing: name a folder, or none"
        ) from error
    return list(ARCH_MODEL_REGISTRY)


def check(variable: str, arch: str, known: list[str], user_dir: str) -> None:
    """Raise for an architecture that is not known, naming those that are most like it."""
    if arch in known:
        return
    similar = difflib.get_close_matches(arch, known)
    where = "fairseq without the plugin (USER_DIR=none)" if user_dir == "none" else f"fairseq with USER_DIR={user_dir}"
    lists = "fairseq's documentation" if user_dir == "none" else f"fairseq-train --user-dir {user_dir} --help"
    advice = f"perhaps {' or '.join(similar)}" if similar else f"{lists} lists them"
    raise RecipeError(f"{variable}={arch} is no architecture of {where}: {advice}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user-dir", required=True, help="folder of the plugin; none for models of fairseq alone")
    parser.add_argument("wanted", nargs="+", metavar="VARIABLE=NAME")
    args = parser.parse_args()
    known = known_architectures(args.user_dir)
    for wanted in args.wanted:
        variable, _, arch = wanted.partition("=")
        check(variable, arch, known, args.user_dir)


if __name__ == "__main__":
    run_tool(main)
