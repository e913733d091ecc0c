"""Errors, console helpers and JSON values that every package uses. Imports no other package."""
