"""The ASGI application under test, its data and its PostgreSQL.

Shipped to hosts as a folder; imports nothing of the checkout.
"""
