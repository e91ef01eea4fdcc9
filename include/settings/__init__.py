"""What can be set, where it is read from, and what is wrong with it."""

from include.domain.amounts import USDC
from include.settings.asset import Asset
from include.settings.loading import SettingsError, load_settings, variable
from include.settings.model import AssetSettings, Settings

__all__ = ["USDC", "Asset", "AssetSettings", "Settings", "SettingsError", "load_settings", "variable"]
