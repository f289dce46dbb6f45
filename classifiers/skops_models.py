"""scikit-learn estimators as skops bytes, with an explicit list of what may be in them."""

from __future__ import annotations

import io
import zipfile

from sklearn.base import is_classifier

from classifiers.errors import HeadFileError
from classifiers.presets import Estimator
from store.errors import first_line

# Beyond what skops trusts by itself (scikit-learn's estimators, NumPy's arrays), what fitted classifiers hold.
TRUSTED = (
    "classifiers.dense.DenseHead",
    "classifiers.logistic.LogisticHead",
    "classifiers.ridge.RidgeHead",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(
        f"sklearn.gaussian_process.kernels.{name}"
        for name in (
            "ConstantKernel",
            "DotProduct",
            "Matern",
            "Product",
            "RBF",
            "RationalQuadratic",
            "Sum",
            "WhiteKernel",
        )
    ),
    "sklearn.metrics._dist_metrics.EuclideanDistance",
    "sklearn.metrics._dist_metrics.EuclideanDistance32",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)


def dump_model(estimator: Estimator) -> bytes:
    """The estimator as bytes that `load_model` accepts. Raises HeadFileError if it would refuse them."""
    import skops.io

    try:
        data: bytes = skops.io.dumps(estimator)
    except Exception as error:  # whatever a foreign object raises when it is taken apart
        raise HeadFileError(f"{type(estimator).__name__} cannot be saved: {error}") from error
    _check_types(data)
    return data


def load_model(data: bytes) -> Estimator:
    """The estimator in skops bytes. Raises HeadFileError if anything in them is not on the list."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(data)) as file:
        if any(info.compress_type != zipfile.ZIP_STORED for info in file.infolist()):
            raise HeadFileError(
                "its model is compressed, which embank never does: it could unpack to any size."
            )
    try:
        _check_types(data)
        estimator = skops.io.loads(data, trusted=list(TRUSTED))
    except HeadFileError:
        raise
    except Exception as error:  # skops lets through whatever a damaged description makes Python raise
        reason = first_line(error).rstrip(".")
        raise HeadFileError(f"its scikit-learn model cannot be read: {reason}.") from error
    if not is_classifier(estimator) or not hasattr(estimator, "classes_"):
        raise HeadFileError(f"its model is no fitted classifier, but {type(estimator).__name__}.")
    return estimator


def _check_types(data: bytes) -> None:
    from skops.io import get_untrusted_types

    refused = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED))
    if refused:
        raise HeadFileError(
            f"its model holds {', '.join(refused)}, which is not on the list of types that may be loaded without "
            "running foreign code."
        )
