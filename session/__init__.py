"""One benchmark from plan to report; the one room that knows every other."""
