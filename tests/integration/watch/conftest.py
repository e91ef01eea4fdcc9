"""The same world and desk as the legs have."""

from __future__ import annotations

from tests.integration.legs.conftest import (
    desk,
    running_vaults,
    running_world,
    vault_desk,
    vault_world,
    world,
)

__all__ = ["desk", "running_vaults", "running_world", "vault_desk", "vault_world", "world"]
