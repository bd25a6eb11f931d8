"""Noisescope beside its peers, in one run: `make bench`, or `python -m benchmarks --only walk` in an environment with
what `benchmarks/requirements.txt` names.

Machines are noisy and differ. So everything is processor time of one thread, the two sides take turns in small rounds,
and what counts is the ratio of one round, of which the median is told with the smallest and the largest.
"""
