"""HTTP/2 by raw frames, on the subjects of h2spec's cases: RFC 9113 and 7541.

This is not h2spec, which no registry has: the probes are our own. rows/ has them, one file a subject; run.py
carries them out; judge.py says what came of them.
"""
