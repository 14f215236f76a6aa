"""Everything that says st.: what the pages are made of."""
