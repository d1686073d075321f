"""The clients that are measured, one file each: from a host made ready to a figure of one round."""
