#!/bin/bash
# Apply infra/kubernetes to a real kube-apiserver with etcd: server-side, with Pod Security and RBAC on.
#
#   tests/cluster/apiserver.sh FOLDER     the first time it builds the server: Go, some ten minutes of CPU, 6 GB
#   tests/cluster/apiserver.sh /var/tmp/apiserver
#
# Wants go, kubectl, the project's environment (PYTHON, else .venv/bin/python), python3 with PyYAML, and etcd on the PATH or in FOLDER
# (Debian: apt-get download etcd-server; dpkg -x). There is no kubelet and no controller: objects are stored and defaulted, admission
# judges them, and nothing starts. So the pods that controllers would make are put to the server as well, on trial, and the tests of
# the step that starts a Job play the controllers.
set -euo pipefail
folder=$(realpath -m "${1:?folder}")
cd "$(dirname "$0")/../.."
version=1.34.4
mkdir -p "$folder"
export PATH=$folder:$PATH

if [ ! -x "$folder/kube-apiserver" ]; then
    mkdir -p "$folder/build"
    # The server's module names its staging modules by folders of its own repository, which are not in what Go downloads.
    {
        echo "module visage.test/apiserver"
        echo "go 1.24.0"
        echo "require k8s.io/kubernetes v$version"
        for module in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap \
            code-generator component-base component-helpers controller-manager cri-api cri-client csi-translation-lib \
            dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy \
            kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver sample-cli-plugin \
            sample-controller; do
            echo "replace k8s.io/$module => k8s.io/$module v0.${version#1.}"
        done
    } > "$folder/build/go.mod"
    # A server that is told no version of its own says v0.0.0-master, which kubectl cannot read.
    about=k8s.io/component-base/version
    minor=${version#1.}
    (cd "$folder/build" && GOFLAGS=-mod=mod go build -o "$folder/kube-apiserver" \
        -ldflags "-X $about.gitVersion=v$version -X $about.gitMajor=1 -X $about.gitMinor=${minor%.*}" \
        k8s.io/kubernetes/cmd/kube-apiserver)
fi

state=$(mktemp -d "$folder/state.XXXX")
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$state"' EXIT
read -r etcd peer api < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[socket_.getsockname()[1] for socket_ in sockets])')
etcd --data-dir "$state/etcd" --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "default=http://127.0.0.1:$peer" > "$state/etcd.log" 2>&1 &
openssl genrsa -out "$state/accounts.key" 2048 2>/dev/null
printf '%s,admin,1,system:masters\n%s,anna,2\n' in-charge an-operator > "$state/tokens"
gates=
case $(etcd --version) in *"Version: 3.4"*) gates=--feature-gates=WatchList=false ;; esac
# shellcheck disable=SC2086 # no gate is no word
kube-apiserver --etcd-servers "http://127.0.0.1:$etcd" --secure-port "$api" --bind-address 127.0.0.1 --cert-dir "$state/certificates" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$state/accounts.key" \
    --service-account-signing-key-file "$state/accounts.key" --token-auth-file "$state/tokens" --authorization-mode RBAC \
    --service-cluster-ip-range 10.0.0.0/24 $gates > "$state/apiserver.log" 2>&1 &
export KUBECONFIG=$state/kubeconfig
kubectl config set-cluster trial --server "https://127.0.0.1:$api" --insecure-skip-tls-verify >/dev/null
for user in "admin in-charge" "anna an-operator"; do
    kubectl config set-credentials "${user% *}" --token "${user#* }" >/dev/null
    kubectl config set-context "${user% *}" --cluster trial --user "${user% *}" --namespace visage >/dev/null
done
kubectl config use-context admin >/dev/null
for _ in $(seq 180); do
    kubectl get --raw /readyz >/dev/null 2>&1 && break
    sleep 1
done
kubectl get --raw /readyz >/dev/null || { tail -n 20 "$state"/*.log; exit 1; }
kubectl version | grep Server

manifests=$state/kubernetes
cp -r infra/kubernetes "$manifests"
rm -rf "$manifests"/overlays/*/secrets
sh "$manifests/make_secrets.sh" "$manifests/overlays/single-node/secrets" >/dev/null

# Remove what an overlay made, and do what the controllers of a cluster would do for that: claims and the namespace let go.
forget() {
    kubectl delete --wait=false -f "$1" >/dev/null
    kubectl get persistentvolumeclaims -o name | xargs -r kubectl patch --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    kubectl get namespace visage -o json | python3 -c '
import json, sys
namespace = json.load(sys.stdin)
namespace["spec"]["finalizers"] = []
json.dump(namespace, sys.stdout)' | kubectl replace --raw /api/v1/namespaces/visage/finalize -f - >/dev/null
}

kubectl create namespace kubeflow >/dev/null
kubectl -n kubeflow create serviceaccount pipeline-runner >/dev/null
for build in overlays/single-node overlays/production jobs/train jobs/train-hosts kubeflow; do
    echo "$build:"
    kubectl kustomize "$manifests/$build" > "$state/built.yaml"
    if grep -q '^kind: Namespace' "$state/built.yaml"; then
        [ ! -f "$state/overlay.yaml" ] || forget "$state/overlay.yaml"
        cp "$state/built.yaml" "$state/overlay.yaml"
    fi
    # Every warning of Pod Security, and of keys that are none or past their time, is an error here.
    kubectl apply --server-side --warnings-as-errors -f "$state/built.yaml" > "$state/applied"
    echo "$(wc -l < "$state/applied") objects applied"
    kubectl apply --server-side --warnings-as-errors -f "$state/built.yaml" >/dev/null
    python3 - "$state/built.yaml" > "$state/pods.yaml" <<'PODS'
import sys
import yaml
for held in filter(None, yaml.safe_load_all(open(sys.argv[1]))):
    spec = held.get("spec") or {}
    spec = spec["jobTemplate"]["spec"] if held["kind"] == "CronJob" else spec
    if "template" not in spec:
        continue
    pod = spec["template"]
    for claim in spec.get("volumeClaimTemplates", []):
        name = claim["metadata"]["name"]
        pod["spec"]["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    about = {"name": held["metadata"]["name"], "namespace": "visage", "labels": pod["metadata"]["labels"]}
    print("---")
    yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": pod["spec"]}, sys.stdout)
PODS
    [ ! -s "$state/pods.yaml" ] || kubectl create --dry-run=server --warnings-as-errors -f "$state/pods.yaml"
done

echo "A pod that may become root is refused:"
refused=$(kubectl run root --image=example --dry-run=server --overrides='{"spec":{"serviceAccountName":"visage"}}' 2>&1) && exit 1
echo "$refused" | grep 'violates PodSecurity "restricted:v1.34"' | cut -c1-120

echo "An operator can start and stop jobs, and nothing else; the accounts of pods can do nothing:"
kubectl create rolebinding anna --role visage-operator --user anna >/dev/null
# Whether the server allows a thing (a verb and a kind, one argument) to an account as it should: yes or no.
demand() {
    # shellcheck disable=SC2086 # verb and kind
    said=$(kubectl auth can-i $1 --as "$2" 2>/dev/null || true)
    [ "$said" = "$3" ] || { echo "May $2 $1? The server says ${said:-nothing}, and it should say $3."; exit 1; }
}
for what in "create jobs" "delete jobs" "patch cronjobs" "get pods --subresource=log"; do
    demand "$what" anna yes
done
for what in "get secrets" "create pods" "create pods --subresource=exec" "patch deployments" "create cronjobs" "create rolebindings"; do
    demand "$what" anna no
    for account in visage mlflow; do
        demand "$what" "system:serviceaccount:visage:$account" no
    done
done
demand "create jobs" system:serviceaccount:visage:visage no

echo "The account of Kubeflow's runs can start a Job, look at it and remove it, and nothing else:"
runner=system:serviceaccount:kubeflow:pipeline-runner
for what in "create jobs" "get jobs" "delete jobs" "list pods" "get pods --subresource=log"; do
    demand "$what -n kubeflow" "$runner" yes
    demand "$what -n visage" "$runner" no
done
for what in "patch jobs" "create pods" "get secrets" "create services" "delete pods" "create rolebindings"; do
    demand "$what -n kubeflow" "$runner" no
done

echo "A step starts its Job with that account:"
mkdir "$state/cluster"
for user in admin runner; do
    cp "$KUBECONFIG" "$state/cluster/$user"
    kubectl config set-context --current --namespace kubeflow --kubeconfig "$state/cluster/$user" >/dev/null
done
kubectl config set-credentials admin --token "$(kubectl -n kubeflow create token pipeline-runner)" \
    --kubeconfig "$state/cluster/runner" >/dev/null
VISAGE_TEST_CLUSTER=$state/cluster "${PYTHON:-.venv/bin/python}" -m pytest -n0 -p no:cacheprovider -W ignore tests/pipeline/kubeflow/test_job.py

echo "All is as it should be, on Kubernetes $version."
