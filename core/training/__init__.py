"""Learning from data: denoisers, their straightened and one-step descendants, classifiers, autoencoders."""
