"""Measures Magpie against bare commands, side by side in one run. `make bench`, or `make bench ARGS="cpu memory"` for some."""
