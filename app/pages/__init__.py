"""Layout and wiring only: what happens is in `server`, what is drawn in `web`."""
