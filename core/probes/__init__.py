"""What can be measured of a network: its noise error at every time, and what its layers put out."""
