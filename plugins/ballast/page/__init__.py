"""The operator's page: an app of its own in Airflow's API server, behind Airflow's login."""
