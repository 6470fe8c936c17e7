"""What the caller has to change."""

from __future__ import annotations

from productops.errors.base import ProductOpsError


class InvalidInputError(ProductOpsError):
    """The request cannot be carried out as written."""

    status = 422
    slug = "invalid-input"
    title = "Invalid input"
    exit_code = 64


class CatalogError(InvalidInputError):
    """A catalog file is wrong; ``extra`` may carry ``file`` and ``line``."""

    slug = "catalog-invalid"
    title = "Catalog entry is invalid"
    exit_code = 65


class SettingsError(InvalidInputError):
    """A setting is missing, malformed or contradicts another."""

    slug = "settings-invalid"
    title = "Setting is invalid"
    exit_code = 78


class CalendarError(InvalidInputError):
    """A calendar of freezes or windows cannot be read, or goes past the limits; its last good copy stays in force."""

    slug = "calendar-invalid"
    title = "Calendar cannot be read"
    exit_code = 65


class QualityInputError(InvalidInputError):
    """A report of a test, coverage, security or performance tool cannot be read, or is too large; ``extra["where"]`` is the place."""

    slug = "quality-input-invalid"
    title = "Quality input cannot be read"
    exit_code = 65


class RiskModelError(InvalidInputError):
    """A stored model of risk cannot be read, or is no such model; the rule rates changes until there is one."""

    slug = "risk-model-invalid"
    title = "Model of risk cannot be read"
    exit_code = 65


class SeriesLimitError(InvalidInputError):
    """A venture would have more series of metrics than the limit: mostly a tag whose values never repeat; ``extra`` has ``limit``."""

    slug = "series-limit"
    title = "Too many series"


class UnsupportedError(InvalidInputError):
    """The router or target cannot do what the rollout needs; ``extra["missing"]`` names each thing."""

    slug = "unsupported"
    title = "Not supported here"


class DependencyCycleError(InvalidInputError):
    """Services that are released together depend on each other in a circle; `cycle` names it."""

    slug = "dependency-cycle"
    title = "Dependencies form a circle"


class ImpossiblePolicyError(InvalidInputError):
    """An approval policy needs more signatures than there are people who could give them."""

    slug = "impossible-policy"
    title = "Nobody could sign it"
    exit_code = 65


class ImpossiblePlanError(InvalidInputError):
    """No plan of the work can keep all constraints; ``extra["conflict"]`` names a smallest set of them that cannot hold together."""

    slug = "impossible-plan"
    title = "No plan can keep all of it"
    exit_code = 65


class BundleUnreadableError(InvalidInputError):
    """A file is no evidence bundle: cut, of another format, or made to do harm. Nothing of it was unpacked."""

    slug = "bundle-unreadable"
    title = "Not an evidence bundle"
    exit_code = 65


class BundleChangedError(InvalidInputError):
    """Something in an evidence bundle is not what was signed; ``extra["file"]`` names it."""

    slug = "bundle-changed"
    title = "The evidence bundle was changed"
    exit_code = 74


class BundleSignatureError(InvalidInputError):
    """An evidence bundle is not signed by a key that is trusted; ``extra["file"]`` names what."""

    slug = "bundle-signature"
    title = "The evidence bundle is not signed by whom you trust"
    exit_code = 77


class DowngradeError(InvalidInputError):
    """The requested version is older than the live one and the caller did not insist."""

    slug = "downgrade"
    title = "Older than the live version"


class PreconditionRequiredError(InvalidInputError):
    """The call must say in `If-Match` which revision it changes."""

    status = 428
    slug = "precondition-required"
    title = "Say which revision you change"
