"""The pages that tests call from, and what their browsers send. Pytest finds it because of ``tests/conftest.py``."""

APP = "https://app.example.com"
OTHER = "https://other.example"
EVIL = "https://evil.example"

FROM_APP = {"Origin": APP}
FROM_EVIL = {"Origin": EVIL}
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}
