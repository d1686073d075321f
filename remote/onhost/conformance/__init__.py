"""Conformance: suites of probes that hold a running server against a standard. Shipped.

A suite is a folder here with a function ``run(order)`` that returns a ConformanceReport, and an app in
testapp/proving/ of the same name.
"""
