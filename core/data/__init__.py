"""What there is to learn from: the data sets that come along, and the readers of one's own."""
