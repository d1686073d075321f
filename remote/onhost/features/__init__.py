"""Which features of its protocols a running server has: one probe in each file of probes/.

Shipped; run in the environment ``probes``.
"""
