"""What a page shows, put together from the selectors of the apps below."""
