"""The parts of the pages that work on a source: Edit & Repaint, and Stems."""
