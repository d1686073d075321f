"""The conformance of a server to ASGI itself: what its app is given, and what comes of what it sends.

Each probe is a row of a table in probes/: what the client sends, what the app does
(testapp/proving/steps.py), and what the specification says of it. Cited are
https://asgi.readthedocs.io/en/latest/specs/main.html ("ASGI"), www.html ("ASGI HTTP", "ASGI WebSocket") and
lifespan.html ("ASGI lifespan").
"""
