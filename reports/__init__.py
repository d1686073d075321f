"""Judged results -> one HTML report, a CSV, the comparison of two benchmarks, and what the terminal shows."""
