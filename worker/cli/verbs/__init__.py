"""The verbs as people type them: their options and their help. What they do is imported when they run."""
