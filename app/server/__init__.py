"""From a form to frames, who waits for them, and what programs may ask."""
