"""Measures what the bundled models do of what they are asked, each figure against a control and perfect audio.

`python -m mini.evaluate` runs the parts: text, repaint, cover, stems, autoencoder, lm. Estimators are in `hearing`,
`metre` and `instruments`; `scores` turns what they say into figures with intervals.
"""
