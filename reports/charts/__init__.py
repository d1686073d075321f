"""The report's figures: drawing in SVG, the two kinds of panel, and one file a figure."""
