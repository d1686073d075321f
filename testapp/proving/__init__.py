"""Apps that servers are proven with: raw ASGI, standard library only. None of them is ever measured."""
