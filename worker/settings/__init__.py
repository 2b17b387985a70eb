"""What the operator sets. `environment` reads it, and imports fast; `model` checks it."""
