"""MLflow tracking: a real ``mlflow server`` behind the routes, and experiments as objects."""
