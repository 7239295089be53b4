"""The DAG on Kubeflow Pipelines: compiled, started and scheduled, and what its steps show there."""
