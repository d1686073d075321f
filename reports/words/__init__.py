"""What is said of the results: numbers as text, verdicts, sentences, cautions."""
