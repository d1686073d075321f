"""The report's tables as plain text cells: what a table is, and one file a subject."""
