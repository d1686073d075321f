"""Conformance: suites of probes that hold a running server against a standard. Shipped.

A suite is a folder here whose program takes a ProbeOrder and prints a ConformanceReport, and an app of the
same name in testapp/proving/.
"""
