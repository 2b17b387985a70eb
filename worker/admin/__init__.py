"""What operators do: change weights, look at what is in use, check a library."""
