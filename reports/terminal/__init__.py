"""What the person at the terminal sees: progress, findings of hosts.check, the closing lines."""
