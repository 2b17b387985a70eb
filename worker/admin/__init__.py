"""What operators do: test an installation."""
