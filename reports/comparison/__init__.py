"""Two benchmarks compared: one HTML page and the lines on the terminal."""
