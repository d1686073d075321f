"""The agent: samples memory and CPU of process trees on one host, while a benchmark runs there.

Python 3.11, the standard library, psutil and bench/wire; Linux and macOS. ``python -m remote.onhost.agent``
starts it (see __main__.py).
"""
