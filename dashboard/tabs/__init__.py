"""One file a tab: its layout and its wiring, nothing else."""
