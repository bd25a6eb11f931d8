"""Noisescope's science: diffusion with every timestep in the open. See the README for ten lines of it."""
