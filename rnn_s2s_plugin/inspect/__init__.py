"""Inspects models, in pictures and numbers:  ``python -m rnn_s2s_plugin.inspect COMMAND …``

======== =====================================================================================
show     attention, scores, context convolution and gates of sentences: pictures and a page
align    word alignments by attention, their error rate, attention entropy, coverage
aer      alignment error rate of alignment files
lengths  BLEU and length ratio by source length
compare  BLEU of several outputs of one test set, with paired bootstrap
curves   losses and BLEU of several training runs, from fairseq's logs
======== =====================================================================================

The models do not depend on this package: forward hooks on whole modules (:mod:`.capture`) read what they compute while
a sentence goes through the model once more.
"""
