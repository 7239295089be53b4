"""The registered model as MLflow serves it: pictures of faces in, ages and genders out.

MLflow stores this file with the model and runs it to load it ("models from code"): nothing is pickled. A row gives the face
as base64 text in `image`; the whole picture is the face. The numbers are those of the batch job. No file of the server can
be named: whoever may ask for a prediction may not therefore read what lies there.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from components.estimator import saved
from components.photo import PhotoRejected, PhotoSettings, angle_of, crop_face, open_photo
from schemas.score import prediction_columns

BATCH = 256


class FaceModel(PythonModel):
    """Estimator and photo settings of one version."""

    def load_context(self, context: PythonModelContext) -> None:
        self.photo = PhotoSettings(**json.loads(Path(context.artifacts["photo"]).read_text()))
        self.estimator = saved.load(Path(context.artifacts["estimator"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """One row for every row of the input, in its order.

        A picture that cannot be used gives empty figures and its reason in `reject`, so that it does not cost the others of
        its request their answer. Base64 may have line breaks.

        Raises:
            MlflowException: the request has no row; a server answers 400.
        """
        if model_input.empty:
            raise MlflowException.invalid_parameter_value(
                "The request holds no picture: give rows with `image` in base64."
            )
        rows = [self._predict(part) for _, part in model_input.groupby(_batch_numbers(len(model_input)), sort=True)]
        return pd.concat(rows, ignore_index=True)

    def _predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        faces, positions = [], []
        rejects: list[str | None] = [None] * len(rows)
        for position, row in enumerate(rows.to_dict("records")):
            try:
                photo = open_photo(_picture(row), self.photo)
                angle = angle_of(photo, None, self.photo)
                faces.append(np.asarray(crop_face(photo, None, self.photo, angle)))
                positions.append(position)
            except PhotoRejected as rejected:
                rejects[position] = str(rejected)
        table = pd.DataFrame(index=range(len(rows)))
        if faces:
            classes = self.estimator.classes
            columns = prediction_columns(self.estimator.predict_images(faces), classes.names if classes else ())
            table = table.join(pd.DataFrame(columns, index=positions))
        table = table.reindex(columns=OUTPUT).assign(reject=rejects)
        # JSON knows null, and no NaN.
        return table.astype(object).where(table.notna(), None) if len(positions) < len(rows) else table


OUTPUT = ("age", "age_std", "age_low", "age_high", "age_class", "gender", "gender_probability")


def _picture(row: Mapping[Any, Any]) -> bytes:
    image = row.get("image")
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str) or not image:
        raise PhotoRejected("photo_missing", "no image is given")
    try:
        return base64.b64decode("".join(image.split()), validate=True)
    except ValueError as error:  # binascii.Error is one, and so is what a letter beyond ASCII raises
        raise PhotoRejected("not_a_photo", f"not base64: {error}") from error


def _batch_numbers(rows: int) -> np.ndarray:
    return np.arange(rows) // BATCH


set_model(FaceModel())
