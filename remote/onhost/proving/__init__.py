"""What probe programs of every kind are made of: clients that keep each byte, and what the app saw.

Shipped; run in the environment ``probes``.
"""
