"""What a configuration may say: composed, checked, drawn from ranges, and expanded to a sweep."""
