"""The rules by which a run is judged, a family in each file. bench/judge/registry.py finds them all."""
