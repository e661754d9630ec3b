"""Experiments: who sees what, what came of it over time, and what a policy that was not run would have earned."""
