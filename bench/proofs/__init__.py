"""What was proven of servers by experiment, beside the measuring: its types, its files, and whom it is of.

A kind of proof is one file here with the types of its findings; the rest is alike for all kinds.
"""
