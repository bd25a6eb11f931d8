"""What all pages of one server share: who is here, who trains, whose turn it is."""
