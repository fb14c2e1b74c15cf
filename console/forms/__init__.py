"""Forms of the console, by what they ask for."""
