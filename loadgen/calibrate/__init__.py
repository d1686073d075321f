"""Each load host's ceiling: what one of its cores can ask for, of a server that costs next to nothing."""
