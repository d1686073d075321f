"""Judged results -> one HTML file, a CSV and the closing lines on the terminal. Templates compute nothing."""
