"""The DAG on this machine: the runner, the process that the steps work in, what a person sees, and the page of a run."""
