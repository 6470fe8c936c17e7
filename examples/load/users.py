"""The people behind the requests: each keeps cookies and knows what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from examples.load.model import ADD_TO_CART, Action, LoadConfig

PRODUCTS = 12
CART_COOKIE = "shop-cart"


class User:
    """One browser with its cookies."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.cookies: dict[str, str] = {}
        self.cookie_header = ""

    def keep(self, set_cookies: Iterable[str]) -> None:
        """Take what ``Set-Cookie`` headers say; a cookie whose lifetime is over is forgotten."""
        for text in set_cookies:
            pair, *attributes = text.split(";")
            name, _, value = pair.strip().partition("=")
            if any(_ends(attribute) for attribute in attributes):
                self.cookies.pop(name, None)
            elif name:
                self.cookies[name] = value
        self.cookie_header = "; ".join(f"{name}={value}" for name, value in self.cookies.items())


def _ends(attribute: str) -> bool:
    name, _, value = attribute.strip().partition("=")
    return name.lower() == "max-age" and (value.strip().startswith("-") or value.strip() == "0")


class Crowd:
    """All users and the chance by which they act."""

    def __init__(self, config: LoadConfig) -> None:
        self._config = config
        self._random = Random(config.seed)
        self._users = [User(number) for number in range(config.users)]
        self._weights: list[float] = []
        for action in config.mix:
            self._weights.append((self._weights[-1] if self._weights else 0.0) + action.weight)
        fixed = [("Host", config.host_header), ("User-Agent", "productops-load"), ("Accept", "*/*"), *config.headers]
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed)

    def gap_s(self) -> float:
        """Seconds to the next arrival of an open loop."""
        rate = self._config.rate
        return self._random.expovariate(rate) if self._config.spacing == "poisson" else 1 / rate

    def next_action(self) -> tuple[User, Action]:
        """Who does what next."""
        user = self._users[self._random.randrange(len(self._users))]
        action = self._random.choices(self._config.mix, cum_weights=self._weights)[0]
        if action.needs_cart and not user.cookies.get(CART_COOKIE):
            action = ADD_TO_CART
        return user, action

    def request_bytes(self, user: User, action: Action) -> bytes:
        """The request as it goes over the wire, with the cookies the user has now."""
        product = str(self._random.randint(1, PRODUCTS))
        body = action.body.replace("{product}", product)
        lines = [f"{action.method} {self._config.base_path}{action.path.replace('{product}', product)} HTTP/1.1\r\n", self._fixed]
        if user.cookie_header:
            lines.append(f"Cookie: {user.cookie_header}\r\n")
        if body or action.method == "POST":
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n")
        return "".join([*lines, "\r\n", body]).encode()
