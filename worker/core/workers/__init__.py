"""What live workers publish of themselves, and what it says of the weights in use."""
