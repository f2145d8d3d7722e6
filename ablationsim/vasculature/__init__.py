"""Vessels of a case: from its tables to trees that blood runs through and that exchange heat."""
