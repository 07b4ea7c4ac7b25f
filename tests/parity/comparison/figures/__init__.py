"""Figures of cases, views and frames (fixtures of `golden/targets`) against ours, case by case."""
