"""Authentication: guards in front of views, their challenges, and protected resource metadata."""
