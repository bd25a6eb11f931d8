"""Where things come in from outside: what they say is looked at before it is parsed, and never shown as it is."""
