# shellcheck shell=bash
# Stages train, average, generate, score: from fairseq's binary data to results.
