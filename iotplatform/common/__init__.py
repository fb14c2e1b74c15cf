"""Code that every app may import; it imports none of them."""
