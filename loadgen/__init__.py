"""Distributed Locust on the load hosts, its data brought home and merged.

engine.py, histogram.py and locustfile.py are shipped to the load hosts; master.py runs on the controller
in a process of its own, because importing Locust patches its process.
"""
