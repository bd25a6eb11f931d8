"""The recipe at the left: its controls, the data's pictures, one's own data, and the runs that are compared."""
