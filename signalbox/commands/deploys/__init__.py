"""Deploys of single purposes, which commands run in place of deploy.py."""
