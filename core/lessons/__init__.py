"""Lessons: files of questions whose answers are taken from the numbers of a run, and never from the file."""
