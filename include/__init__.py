"""Ballast in plain Python: it knows no Airflow."""
