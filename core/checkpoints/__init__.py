"""Weights and cards in files: denoisers, trainings, classifiers and autoencoders; safe to open, whoever made them."""
