"""The paper this toolkit repeats: its figures, its claims, its method beside ours."""
