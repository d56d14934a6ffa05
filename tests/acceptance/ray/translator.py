"""The guide's translator, with a phrase table where it downloads a model (models from code)."""

import os
import time

import mlflow

TABLE = {"de": {"hello": "hallo", "cell": "Zelle"}, "fr": {"hello": "bonjour", "cell": "cellule"}}


class Translator(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.config = context.model_config
        if self.config.get("broken"):
            raise ValueError("this version never loads")
        self.ballast = b"x" * int(self.config.get("ballast", 0))
        self.words = TABLE[self.config["lang_to"]]

    def predict(self, context, model_input, params=None):
        texts = list(model_input[self.config["input_label"]])
        if "crash" in texts:
            os._exit(1)
        if "fail" in texts:
            raise RuntimeError("a secret of the model")
        if "slow" in texts:
            time.sleep(2)
        return [{"translation_text": self.words.get(text, text)} for text in texts]


mlflow.models.set_model(Translator())
