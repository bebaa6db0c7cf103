"""What ``example_app.py`` is made of besides the Flask app itself: the bridge, the two pages, the check."""
