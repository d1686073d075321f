"""Slow and dead clients, on the server's own host: what they cost the server, and whether it lets go of them.

Each probe is a module of probes/ and is run on a server that was started for it, so that none finds the
memory that another has made it keep. Everything is bounded: connections, time, and what the server's memory
may grow by.
"""
