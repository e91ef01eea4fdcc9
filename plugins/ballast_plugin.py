"""Shows the operator's page in Airflow. Airflow loads this file by itself, in each of its processes."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from ballast.page import mount


class BallastPlugin(AirflowPlugin):
    """The page at `/ballast`, and where it is shown."""

    name = "ballast"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {"app": mount.Mounted(), "url_prefix": mount.PREFIX, "name": "Ballast"}
    ]
    external_views: list[Any] = mount.views()
