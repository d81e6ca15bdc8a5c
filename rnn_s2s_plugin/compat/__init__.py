"""Fixes that fairseq needs on current Python, PyTorch and numpy; the one place that knows their versions.

Importing this package applies all fixes, so the plugin imports it before anything else. No file of fairseq is changed.
Each fix is one short function whose docstring gives the reason. It uses a public interface if there is one; otherwise
``mending.mend`` wraps one function, which remains available as ``__wrapped__`` (docs/mends.md lists all of them).
``coverage`` adds a search option.

Modules apply their fixes when they are imported, in any order, except for ``interactive``, which waits until
fairseq-interactive has read its options (``options.correct_options``). The calls below set up the process.

All problems were observed with fairseq-fixed 0.12.3.1 on Python 3.11 to 3.15, PyTorch 2.11 to 2.15 and numpy 2.4 and
2.5. ``startup``, which setup.py installs beside the packages, has what must be mended before fairseq can be imported.
"""

from .versions import (
    fork_data_workers,
    restore_numpy_compat,
    silence_warnings_about_fairseq,
    warn_about_unknown_fairseq,
)

warn_about_unknown_fairseq()  # first: with another version the imports below may not find what they wrap

from . import (  # noqa: E402  (their import applies the fixes)
    beam_search,  # noqa: F401
    continuing,  # noqa: F401
    coverage,  # noqa: F401
    data,  # noqa: F401
    distributed,  # noqa: F401
    generation,  # noqa: F401
    help,  # noqa: F401
    optimizer,
    options,  # noqa: F401
    precision,  # noqa: F401
    resuming,  # noqa: F401
    saving,  # noqa: F401
)
from .checkpoints import allow_checkpoint_classes  # noqa: E402
from .processor import forget_rare_shapes, keep_freed_memory, use_avx512_products  # noqa: E402

restore_numpy_compat()
fork_data_workers()
silence_warnings_about_fairseq()
allow_checkpoint_classes()
forget_rare_shapes()  # before the next line uses oneDNN
use_avx512_products()
keep_freed_memory()
optimizer.use_one_norm()
