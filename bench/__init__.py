"""What a benchmark is: specs, plan, results, judgements and errors. No network, no processes."""
