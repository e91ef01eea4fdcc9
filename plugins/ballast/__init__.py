"""The Airflow side of Ballast: hooks, operators, triggers and tasks, all thin."""
