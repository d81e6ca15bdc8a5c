"""Training criterions; importing this package registers them in fairseq."""

from . import fused_label_smoothed_cross_entropy, minimum_risk  # noqa: F401  (registered by their import)
