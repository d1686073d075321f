"""Judged results -> the HTML report, the CSV, the comparison of two benchmarks, and what the terminal shows.

results.py has what everything is made of, and render.py writes all files. charts/, tables/ and words/ turn
results into figures, tables and sentences; sections/ puts them together; page/ prints them.
"""
