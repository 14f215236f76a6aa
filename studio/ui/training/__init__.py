"""The Train page: what is trained on, how, how far it is, and the way out."""
