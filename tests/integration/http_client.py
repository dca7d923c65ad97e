"""A client of the API that knows nothing of Django."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

PASSWORD = "correct horse battery staple"
V1 = "/api/v1"


class Http:
    """Calls a site; answers the response, its body read."""

    def __init__(self, site):
        self.address = urlsplit(site).netloc
        self.headers = {"Content-Type": "application/json"}
        self.email = f"{uuid4().hex}@example.org"

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.address, timeout=90)
        content = json.dumps(body) if isinstance(body, dict) else body
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, content, {**self.headers, **extra})
        response: Any = connection.getresponse()
        response.content = response.read()
        connection.close()
        return response

    def register(self):
        """Become a customer; answers its id."""
        customer = self.call("POST", f"{V1}/customers", {"name": "Ada", "email": self.email, "password": PASSWORD})
        token = self.call("POST", f"{V1}/auth/token", {"email": self.email, "password": PASSWORD})
        self.headers["Authorization"] = f"Token {json.loads(token.content)['token']}"
        return json.loads(customer.content)["id"]

    def get(self, path):
        """What is at a path, as JSON."""
        return json.loads(self.call("GET", path).content)
