"""The load engine: one plain Python process that drives connections, and checks every answer.

``python -m loadgen.onhost.engine`` runs it (__main__.py says how). Times are monotonic nanoseconds. The hot
loop is in run.py; everything that it leaves to others is in connection.py.
"""
