"""What diffusion is held against: a GAN on the same budget, and heat that spreads in a room."""
