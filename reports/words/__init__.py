"""Results in words: numbers as text, verdicts, sentences, cautions."""
