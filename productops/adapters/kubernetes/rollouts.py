"""Hand-over to Argo Rollouts: it keeps moving pods and traffic, we say how far it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from productops.adapters.kubernetes.client import Document, KubernetesClient
from productops.errors import ConflictError, DependencyError, NotFoundError, UnsupportedError


@dataclass(frozen=True, slots=True)
class RolloutState:
    """A Rollout as its controller reports it. ``weight_pct`` is what it has set, ``None`` while it has said nothing."""

    phase: str
    message: str
    weight_pct: int | None
    paused: bool
    aborted: bool
    stable: bool


class ArgoRollout:
    """One Rollout with the canary strategy. Its steps are ours from the first ``set_weight``: one weight, then a pause without end.

    A changed list of steps makes the controller begin them anew, so the one pair takes effect at once.
    Source: argo-rollouts, pkg/kubectl-argo-rollouts/cmd (promote, pause, abort) and its merge patches.
    """

    def __init__(self, client: KubernetesClient, name: str, *, confirm_s: float = 30.0) -> None:
        self._client, self._name, self._confirm_s = client, name, confirm_s
        self._collection = f"/apis/argoproj.io/v1alpha1/namespaces/{client.namespace}/rollouts"
        self._path = f"{self._collection}/{name}"

    def state(self) -> RolloutState:
        """As it is now. Raises: NotFoundError, DependencyError."""
        return _state(self._rollout())

    def set_weight(self, candidate_pct: int) -> RolloutState:
        """Give the candidate so much (0 to 100) and return when the controller has. Raises: UnsupportedError for another strategy,
        ConflictError for an aborted rollout, DependencyError when it does not follow in time.
        """
        rollout = self._rollout()
        if "canary" not in (rollout["spec"].get("strategy") or {}):
            raise UnsupportedError(f"the Rollout {self._name} has no canary strategy: weights cannot be set")
        if (rollout.get("status") or {}).get("abort"):
            raise ConflictError(f"the Rollout {self._name} is aborted: retry it, or roll out another version")
        steps = [{"setWeight": candidate_pct}, {"pause": {}}]
        patched = self._client.merge(self._path, {"spec": {"paused": False, "strategy": {"canary": {"steps": steps}}}})
        generation = str(patched["metadata"].get("generation", ""))
        return self._follow(lambda r: _observed(r, generation) and _state(r).weight_pct == candidate_pct, f"weight {candidate_pct}")

    def pause(self) -> RolloutState:
        """Stay where it is. Raises: NotFoundError, DependencyError."""
        self._client.merge(self._path, {"spec": {"paused": True}})
        return self.state()

    def promote(self) -> RolloutState:
        """Skip what is left and make the candidate the stable version; returns when it is. Raises: as ``set_weight``."""
        if self.state().stable:
            return self.state()
        self._patch_status({"promoteFull": True})
        self._client.merge(self._path, {"spec": {"paused": False}})
        return self._follow(lambda r: _state(r).stable, "promotion")

    def abort(self) -> RolloutState:
        """All traffic back to the stable version; returns when it is there. Raises: as ``set_weight``."""
        self._patch_status({"abort": True})
        return self._follow(lambda r: _state(r).aborted and not _state(r).weight_pct, "abort")

    def _patch_status(self, status: Document) -> None:
        """Old controllers have no status subresource: then the status is part of the object."""
        try:
            self._client.merge(f"{self._path}/status", {"status": status})
        except NotFoundError:
            self._client.merge(self._path, {"status": status})

    def _rollout(self) -> Document:
        found = self._client.get(self._path)
        if found is None:
            raise NotFoundError(f"Kubernetes has no Rollout {self._name} in {self._client.namespace}")
        return found

    def _follow(self, ready: Callable[[Document], bool], what: str) -> RolloutState:
        try:
            return _state(self._client.wait_for(self._collection, self._name, ready, within_s=self._confirm_s))
        except DependencyError as error:
            now = self.state()
            reason = f"{now.phase} {now.message}".strip()
            raise DependencyError(f"the Rollout {self._name} did not follow to {what} within {self._confirm_s:g} s: {reason}") from error


def _observed(rollout: Document, generation: str) -> bool:
    """Rollouts report the observed generation as text; very old ones a hash, which says nothing."""
    seen = str((rollout.get("status") or {}).get("observedGeneration", ""))
    return not seen.isdigit() or not generation or int(seen) >= int(generation)


def _state(rollout: Document) -> RolloutState:
    status = rollout.get("status") or {}
    weights = ((status.get("canary") or {}).get("weights") or {}).get("canary") or {}
    steps = (((rollout["spec"].get("strategy") or {}).get("canary")) or {}).get("steps") or []
    weight = weights.get("weight")
    if weight is None and int(status.get("currentStepIndex") or 0) >= 1 and steps:
        weight = steps[0].get("setWeight")  # without a traffic router the share is one of pods, reached when the step is passed
    return RolloutState(
        phase=str(status.get("phase", "")), message=str(status.get("message", "")), weight_pct=weight,
        paused=bool(rollout["spec"].get("paused") or status.get("pauseConditions")), aborted=bool(status.get("abort")),
        stable=bool(status.get("currentPodHash")) and status.get("currentPodHash") == status.get("stableRS"),
    )  # fmt: skip
