"""What a model does, in pictures and numbers:  ``python -m rnn_s2s_plugin.inspect COMMAND …``

======== =====================================================================================
show     attention, scores, context convolution and gates of sentences: pictures and a page
align    word alignments by attention, their error rate, attention entropy, coverage
aer      alignment error rate of alignment files
lengths  BLEU and length ratio by source length
compare  BLEU of several outputs of one test set, with paired bootstrap
curves   losses and BLEU of several training runs, from fairseq's logs
======== =====================================================================================

The models know nothing of this package: what they compute is read off whole modules with forward hooks
(:mod:`.capture`) while a sentence goes through them once more.
"""
