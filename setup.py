"""Packaging: what `pip install` needs to know.

Ranges stand here; requirements.lock pins every version, for all extras and Pythons at once (`make lock`, `make upgrade`).

Two sets of libraries resolve, and TFDV decides which: up to 1.17 it has wheels for Python 3.11 on any glibc, from 1.21
on for Python 3.12 and 3.13 on glibc 2.39 and later (for which there is no marker: infra/environment.sh looks).
Floors are the oldest version without a known hole that the set allows.
"""

from setuptools import find_packages, setup

OLDER_SET = 'python_version < "3.12"'
NEWER_SET = 'python_version >= "3.12"'

setup(
    name="visage",
    version="0.1.0",
    description="An age-and-gender model from dated face photographs: data, training, registry and batch scoring",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline*", "components*", "schemas*"]),
    package_data={
        "components": ["report/templates/*.html"],
        "components.detection.yunet": ["*.onnx", "LICENSE"],
        "pipeline": ["recipes/*.yaml"],
        "schemas": ["*.pbtxt"],
    },
    install_requires=[
        f"tensorflow>=2.16.2,<2.17; {OLDER_SET}",
        f"tensorflow>=2.21,<2.22; {NEWER_SET}",
        "keras>=3.15",
        f"apache-beam>=2.72,<2.73; {OLDER_SET}",
        f"apache-beam>=2.77,<2.78; {NEWER_SET}",
        f"tensorboard>=2.20; {NEWER_SET}",  # tf.summary writes through it; TensorFlow 2.21 does not bring it
        f"tensorflow-data-validation>=1.16.1,<1.17; {OLDER_SET}",
        f"tensorflow-data-validation>=1.21,<1.22; {NEWER_SET}",
        "dill",  # tfx-bsl imports it and does not say so
        "mlflow>=3.17,<4",
        "numpy<2.5",
        f"pyarrow>=10.0.1; {OLDER_SET}",
        f"pyarrow>=25; {NEWER_SET}",
        f"pyarrow-hotfix>=0.7; {OLDER_SET}",  # pyarrow before 14.0.1 runs code that a Parquet file brings along
        "fsspec>=2025.3",
        "google-crc32c>=1.5",
        "jinja2>=3.1.6",
        "matplotlib>=3.8",
        f"opencv-python-headless>=4.11,<4.12; {OLDER_SET}",  # the last for numpy 1
        f"opencv-python-headless>=4.13,<5; {NEWER_SET}",  # version 5 wants the detector's weights in another form
        "pi-heif>=1.4",  # libheif (LGPL) for reading; pillow-heif's wheels bring x265, which is under the GPL, for writing
        "pillow>=12.3",
        "psutil>=5.9",
        "pydantic>=2.7",
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.5",
        "scipy>=1.11",
        "simplejpeg>=1.9",  # tells the warnings of libjpeg-turbo, which Pillow keeps to itself
    ],
    extras_require={
        "cloud": [
            f"apache-beam[aws,gcp]>=2.72,<2.73; {OLDER_SET}",
            f"apache-beam[aws,gcp]>=2.77,<2.78; {NEWER_SET}",
            "adlfs>=2024.12",
            "gcsfs>=2025.3",
            "kubernetes>=30.1",  # in the image: from within Kubeflow, the train step starts a Job with it
            "s3fs>=2025.3",
        ],
        "gpu": [
            f"tensorflow[and-cuda]>=2.16.2,<2.17; {OLDER_SET}",
            f"tensorflow[and-cuda]>=2.21,<2.22; {NEWER_SET}",
        ],
        "kubeflow": [
            f"kfp==2.13.0; {OLDER_SET}",
            f"kfp>=2.17.3,<3; {NEWER_SET}",
            "kfp-kubernetes",
        ],
        # KERAS_BACKEND=jax computes with it. 0.4.34 is the last for the ml-dtypes of TensorFlow 2.16.
        "jax": [
            f"jax>=0.4.34,<0.4.35; {OLDER_SET}",
            f"jax>=0.11.2,<0.12; {NEWER_SET}",
        ],
        "jxl": ["pillow-jxl-plugin>=1.3.8"],  # under the GPL: whoever installs it decides so
        # What MLflow's server needs beside what its clients have: logins, and PostgreSQL.
        "server": ["mlflow[auth]>=3.17,<4", "psycopg[binary]>=3.2"],
        "test": [
            "kubernetes-validate==1.34.*",
            "moto[server]",
            "mypy",
            f"pandas-stubs<2; {OLDER_SET}",
            f"pandas-stubs>=2.3,<3; {NEWER_SET}",
            "pillow-heif>=1.4",  # writes the HEIC photos that tests read
            "pytest",
            "pytest-timeout",
            "pytest-xdist>=3.8",
            "ruff",
            "types-PyYAML",
            "types-psutil",
            "types-requests",
        ],
    },
    entry_points={"console_scripts": ["visage = pipeline.cli:main"]},
)
