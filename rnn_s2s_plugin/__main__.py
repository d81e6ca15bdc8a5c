"""``python -m rnn_s2s_plugin`` prints this package's folder: ``--user-dir "$(python -m rnn_s2s_plugin)"``."""

import os

print(os.path.dirname(os.path.abspath(__file__)))
