"""What the operator sets: `environment` reads it, cheaply; `model` checks it."""
