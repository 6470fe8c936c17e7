"""Operations of access. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.access_models import (CallerOut, GovernanceAccessCheckOut, GrantBody, GroupsOut, HeldGrantOut, LoginLinkOut, NewTokenOut, Operation, PeopleOut, PersonOut, PersonStateBody, RevocationBody, RotationBody, SessionOut, SessionsOut, TokenBody, TokenList, TokenOut)
from productops.client.common_models import (Environment, ReleaseReasonBody)
from productops.client.transport import ServerEvent, Transport, path_part


class AccessOperations(Transport):
    """Operations of access."""

    def get_caller(self) -> CallerOut:
        """Who am I?"""
        found: CallerOut = self._ask('GET', '/api/v1/access/me').json()
        return found

    def check_access(self, *, operation: Operation, name: str | None = None, venture: str | None = None, environment: Environment | None = None) -> GovernanceAccessCheckOut:
        """Explain a decision."""
        found: GovernanceAccessCheckOut = self._ask('GET', '/api/v1/access/check', query={'operation': operation, 'name': name, 'venture': venture, 'environment': environment}).json()
        return found

    def list_people(self) -> PeopleOut:
        """List people and accounts."""
        found: PeopleOut = self._ask('GET', '/api/v1/access/people').json()
        return found

    def list_groups(self) -> GroupsOut:
        """List groups."""
        found: GroupsOut = self._ask('GET', '/api/v1/access/groups').json()
        return found

    def give_grant(self, body: GrantBody, *, idempotency_key: str | None = None) -> HeldGrantOut:
        """Give a role."""
        found: HeldGrantOut = self._ask('POST', '/api/v1/access/grants', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def take_grant(self, body: RevocationBody, *, idempotency_key: str | None = None) -> bytes:
        """Take a role away."""
        return self._ask('POST', '/api/v1/access/revocations', body=body, headers={'Idempotency-Key': idempotency_key}).content

    def set_person_state(self, body: PersonStateBody, *, idempotency_key: str | None = None) -> PersonOut:
        """Shut somebody out, or let in."""
        found: PersonOut = self._ask('POST', '/api/v1/access/people/state', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_tokens(self, *, owner: str | None = None) -> TokenList:
        """List tokens, newest first."""
        found: TokenList = self._ask('GET', '/api/v1/access/tokens', query={'owner': owner}).json()
        return found

    def create_token(self, body: TokenBody, *, idempotency_key: str | None = None) -> NewTokenOut:
        """Make a token."""
        found: NewTokenOut = self._ask('POST', '/api/v1/access/tokens', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def rotate_token(self, token_id: str, body: RotationBody, *, idempotency_key: str | None = None) -> NewTokenOut:
        """Give a token a new secret."""
        found: NewTokenOut = self._ask('POST', f'/api/v1/access/tokens/{path_part(token_id)}/rotate', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def revoke_token(self, token_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> TokenOut:
        """End a token."""
        found: TokenOut = self._ask('POST', f'/api/v1/access/tokens/{path_part(token_id)}/revoke', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def make_login_link(self, *, idempotency_key: str | None = None) -> LoginLinkOut:
        """Make a log-in link."""
        found: LoginLinkOut = self._ask('POST', '/api/v1/access/login-links', headers={'idempotency-key': idempotency_key}).json()
        return found

    def list_sessions(self, *, everybody: bool | None = None) -> SessionsOut:
        """List browser sessions."""
        found: SessionsOut = self._ask('GET', '/api/v1/access/sessions', query={'everybody': everybody}).json()
        return found

    def end_session(self, session_id: str, *, idempotency_key: str | None = None) -> SessionOut:
        """End a browser session."""
        found: SessionOut = self._ask('POST', f'/api/v1/access/sessions/{path_part(session_id)}/end', headers={'Idempotency-Key': idempotency_key}).json()
        return found
