"""Asking for something: by the network against itself without the label, or by a classifier of noised data."""
