"""The command line: what can be asked, and what the commands do."""
