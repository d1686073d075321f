"""Proofs: servers started for probes instead of load, and what was found kept beside the results.

``ground`` makes a server's host ready (environments, our own files), ``prove`` goes through the servers, and
a kind of proof says what is started, which program probes it, and what its reports amount to.
"""
