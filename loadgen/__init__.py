"""Distributed Locust on the load hosts, its data brought home and merged.

onhost/ travels to the load hosts. master.py runs on the controller in a process of its own, because importing
Locust patches its process.
"""
