"""Packaging: what `pip install` needs to know.

Ranges stand here; requirements.lock pins every version, for all extras at once. `make lock` renews it.
"""

from setuptools import find_packages, setup

setup(
    name="visage",
    version="0.1.0",
    description="An age-and-gender model from dated face photographs: data, training, registry and batch scoring",
    license="Apache-2.0",
    # tensorflow-data-validation has no wheels for a newer Python on glibc below 2.39.
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["pipeline*", "components*", "schemas*"]),
    package_data={"pipeline": ["recipes/*.yaml"], "schemas": ["*.pbtxt"]},
    install_requires=[
        "tensorflow>=2.16,<2.17",
        "keras>=3.10",
        "apache-beam>=2.72,<2.73",
        "tensorflow-data-validation>=1.16,<1.17",
        "mlflow>=3.17,<4",
        "scikit-learn>=1.3",
        "scipy>=1.11",
        "pillow>=10",
        "pyarrow>=10",
        "dill",  # tfx-bsl imports it and does not say so
        "google-crc32c>=1.5",
        "matplotlib>=3.8",
        "psutil>=5.9",
        "pydantic>=2.7",
        "pyyaml>=6",
        "rich>=13",
    ],
    extras_require={
        "detect": ["mediapipe>=0.10.21,<0.11", "mtcnn>=1,<2"],
        "kubeflow": ["kfp==2.13.0"],
        "gpu": ["tensorflow[and-cuda]>=2.16,<2.17"],
        "cloud": ["apache-beam[aws,gcp]>=2.72,<2.73"],
        "test": [
            "moto[server]",
            "mypy",
            "pandas-stubs<2",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "types-PyYAML",
            "types-psutil",
        ],
    },
    entry_points={"console_scripts": ["visage = pipeline.cli:main"]},
)
