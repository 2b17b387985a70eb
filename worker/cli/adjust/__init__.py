"""What the verbs of `adjust` do: rules that move the weights are set, looked at, and told what to do."""
