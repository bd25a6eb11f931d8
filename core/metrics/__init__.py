"""How good samples are: distances to data, modes covered, training rows copied, likelihood."""
