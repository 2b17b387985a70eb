"""The run directory of workers: their health files, and the locks on their names."""
