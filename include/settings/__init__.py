"""What can be set, where it is read from, and what is wrong with it."""

from include.domain.amounts import USDC
from include.settings.asset import Asset
from include.settings.loading import SettingsError, books, load_settings, settings_file, variable
from include.settings.model import AssetSettings, Settings
from include.settings.names import Names

__all__ = [
    "USDC",
    "Asset",
    "AssetSettings",
    "Names",
    "Settings",
    "SettingsError",
    "books",
    "load_settings",
    "settings_file",
    "variable",
]
