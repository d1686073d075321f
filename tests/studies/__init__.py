"""Simulations whose tables stand in the docs: ``python -m tests.studies.NAME``. They are no tests."""
