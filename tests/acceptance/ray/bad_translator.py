"""A version that loads and fails every request."""

import mlflow


class Bad(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        raise RuntimeError("no")


mlflow.models.set_model(Bad())
