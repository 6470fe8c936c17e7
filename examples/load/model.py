"""What to send, and what came back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

CONNECTIONS_OPEN_LOOP = 256
CONNECTIONS_CLOSED_LOOP = 32


class Spacing(StrEnum):
    """How arrivals of an open loop are spread over time."""

    POISSON = "poisson"
    EVEN = "even"


class TransportError(StrEnum):
    """A request that got no HTTP answer: a failure of the machinery between user and shop, never a bug of a page."""

    REFUSED = "refused"
    CONNECT = "connect"
    RESET = "reset"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing users do. ``weight`` is relative; ``{product}`` in path and body becomes a product number from 1 to 12.

    With ``needs_cart`` a user whose ``shop-cart`` cookie is empty puts something into the cart instead.
    """

    name: str
    path: str
    weight: float = 1.0
    method: str = "GET"
    body: str = ""
    needs_cart: bool = False


ADD_TO_CART = Action("add to cart", "/api/cart", 13, "POST", '{"product_id":{product},"quantity":1}')
SHOP_MIX: tuple[Action, ...] = (
    Action("home", "/", 10),
    Action("list", "/api/products", 30),
    Action("product", "/api/products/{product}", 35),
    Action("cart", "/api/cart", 5),
    ADD_TO_CART,
    Action("checkout", "/api/checkout", 7, "POST", "{}", needs_cart=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadConfig:
    """One run. ``host`` is the Host header (empty: that of ``url``).

    ``rate`` is requests per second of an open loop: arrivals do not wait for answers. Rate 0 is a closed loop: each of the
    ``connections`` sends its next request when the last one is answered. ``duration_s`` or ``requests_max`` end the run;
    with neither it ends when told. ``drain_s`` is how long requests in flight are waited for at the end.
    """

    url: str
    host: str = ""
    rate: float = 100.0
    duration_s: float | None = 60.0
    requests_max: int | None = None
    users: int = 200
    connections: int | None = None
    spacing: Spacing = Spacing.POISSON
    timeout_s: float = 10.0
    drain_s: float = 5.0
    seed: int | None = None
    mix: tuple[Action, ...] = SHOP_MIX
    headers: tuple[tuple[str, str], ...] = ()
    version_header: str = "x-shop-version"

    def __post_init__(self) -> None:
        """Raises: ValueError when the run makes no sense."""
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{self.url!r} is not an http:// address")
        if self.rate < 0 or self.timeout_s <= 0 or self.drain_s < 0:
            raise ValueError("rate and drain_s must not be negative, timeout_s must be positive")
        if self.users < 1 or (self.connections is not None and self.connections < 1):
            raise ValueError("users and connections must be at least 1")
        if not self.mix or sum(action.weight for action in self.mix) <= 0 or any(action.weight < 0 for action in self.mix):
            raise ValueError("the mix needs actions with positive weights")
        if any("\r" in text or "\n" in text for header in (("host", self.host), *self.headers) for text in header):
            raise ValueError("a header holds a line break")

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    @property
    def base_path(self) -> str:
        """What goes before the path of every action."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def host_header(self) -> str:
        """The Host header to send."""
        return self.host or urlsplit(self.url).netloc

    @property
    def connections_max(self) -> int:
        """How many connections may be open at once."""
        return self.connections or (CONNECTIONS_OPEN_LOOP if self.rate else CONNECTIONS_CLOSED_LOOP)


@dataclass(frozen=True, slots=True)
class Response:
    """One finished request.

    It *arrived* when the user wanted it, which in an open loop is before it could be sent when all is slow; ``latency_ms``
    counts from there, so waiting is never hidden. Monotonic times are on the clock of ``time.monotonic``, unix times
    are seconds since 1970 UTC. Exactly one of ``status`` and ``error`` is set. ``version`` is ``None`` when no header told it.
    """

    user: int
    action: str
    arrived_monotonic_s: float
    ended_monotonic_s: float
    arrived_unix_s: float
    ended_unix_s: float
    status: int | None
    error: TransportError | None
    version: str | None

    @property
    def latency_ms(self) -> float:
        """Milliseconds from arrival to the last byte of the answer."""
        return (self.ended_monotonic_s - self.arrived_monotonic_s) * 1000

    @property
    def failed(self) -> bool:
        """Whether the user was let down: a 5xx, or no answer at all."""
        return self.status is None or self.status >= 500
