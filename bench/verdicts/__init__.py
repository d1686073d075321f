"""Who is ahead, and how sure that is: pure functions from runs to verdicts."""
