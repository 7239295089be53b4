"""The DAG and how it runs: definition, recipes, local runner, Kubeflow Pipelines, MLflow tracking, the `visage` command."""
