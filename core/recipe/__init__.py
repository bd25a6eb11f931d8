"""The typed description of a run: every field said once, for the page, links, the command line and the API alike."""
