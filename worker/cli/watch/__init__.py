"""What `watch` does: show a running system live, in a terminal, in a pipe, once, or as JSON."""
