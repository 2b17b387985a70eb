"""What the verbs of `weights` do."""
