"""HTTP/1.1 by raw bytes, on the subjects that Http11Probe and RFC 9110 and 9112 name.

rows/ has the probes, one file a subject; run.py carries them out; judge.py holds what came of them against
their rows.
"""
