#!/bin/bash
# Build the image of infra/Dockerfile without an engine and without a registry, and try it as Kubernetes would run it.
#
#   tests/image.sh FOLDER [BUILD-ARGUMENT...]     as root, with buildah and debootstrap; 12 GB and some 15 minutes
#   tests/image.sh /var/tmp/image
#   tests/image.sh /var/tmp/image --build-arg EXTRAS=cloud,gpu
#
# In the place of python:3.13-slim-trixie stands a Debian 13 made by debootstrap, with Debian's own Python 3.13. Every
# trial runs as the image's user, on a read-only root file system with /tmp and /work to write to. FOLDER is kept: the
# second time only what has changed is built. The registries are reached with this machine's certificates.
set -euo pipefail
folder=$(realpath -m "${1:?folder}")
shift
cd "$(dirname "$0")/.."
base=localhost/visage-base:trixie
image=localhost/visage:trial
mkdir -p "$folder"
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$folder/storage" "$folder/run" > "$folder/storage.conf"
export CONTAINERS_STORAGE_CONF=$folder/storage.conf

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    debootstrap --variant=minbase --include=ca-certificates,python3 trixie "$folder/base"
    rm -rf "$folder"/base/var/cache/apt/archives/*.deb "$folder"/base/var/lib/apt/lists/*
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$folder/base" /
    buildah commit --quiet --rm "$container" "$base"
    rm -rf "$folder/base"
fi

certificates=/etc/ssl/certs/ca-certificates.crt
buildah build --layers --isolation chroot --file infra/Dockerfile --tag "$image" \
    --build-arg PYTHON="$base" --build-arg BUILD_PACKAGES="g++ python3-dev python3-venv" \
    --build-arg COMMIT="$(git rev-parse HEAD)" --volume "$certificates:$certificates:ro" "$@" .

container=$(buildah from "$image")
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(buildah mount "$container")
config() { buildah inspect --type image --format "{{$1}}" "$image"; }
mapfile -t environment < <(config 'range .OCIv1.Config.Env}}{{println .}}{{end' | grep .)
user=$(config .OCIv1.Config.User)
rm -rf "$folder/work"
install -d -m 1777 "$folder/work"

# Run a command in the image: its user, environment and folder; only /tmp, /work and shared memory can be written to.
inside() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount bash -euc '
        root=$1 work=$2 user=$3
        shift 3
        mount --bind "$root" "$root"
        mount --bind "$work" "$root/work"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        for file in resolv.conf hosts; do mount --bind "/etc/$file" "$root/etc/$file"; done
        mount -o remount,bind,ro "$root"
        exec chroot --userspec="$user" --groups= "$root" env -i "$@"
    ' inside "$root" "$folder/work" "$user" "${environment[@]}" sh -c 'cd /work && exec "$@"' sh "$@"
}

echo "Size:"
buildah images --filter reference="$base" --filter reference="$image"
echo "Megabytes by package, bytecode included:"
inside sh -c 'cd /opt/venv/lib/python3.*/site-packages && du -sm * | sort -rn | head -30; du -sm .'

echo "The image's user is a number and not root, and cannot write to the image:"
inside sh -c 'id; [ "$(id -u)" -ne 0 ] && ! touch /opt/visage/written /opt/venv/written 2>/dev/null'

echo "Every library that a package brings finds those that it needs:"
inside sh -c '! find /opt/venv -name "*.so*" -type f ! -path "*.libs/*" -exec ldd {} + 2>/dev/null | grep "not found" | sort | uniq -c | grep .'

echo "Beam's buckets and Dataflow are there:"
inside python -c '
from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem
from apache_beam.io.aws.s3filesystem import S3FileSystem
from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient
import adlfs, gcsfs, s3fs
'

echo "The image as a worker of a cluster makes the shards that the local runner makes:"
cat > "$folder/work/cluster.sh" <<'CLUSTER'
set -eu
visage demo-data small --photos 300 --seed 1 2>/dev/null
set -- $(python -c '
import socket
listeners = [socket.create_server(("localhost", 0)) for _ in range(2)]
print(*(listener.getsockname()[1] for listener in listeners))
')
pool_port=$1 jobs_port=$2
python -m apache_beam.runners.worker.worker_pool_main --service_port "$pool_port" 2>pool.log &
pool=$!
python -m apache_beam.runners.portability.local_job_service_main -p "$jobs_port" 2>jobs.log &
jobs=$!
trap 'kill "$pool" "$jobs"' EXIT
for port in "$pool_port" "$jobs_port"; do
    python -c "import grpc; grpc.channel_ready_future(grpc.insecure_channel('localhost:$port')).result(timeout=120)"
done
set -- --set source.kind=imdb_wiki --set source.path=small
cluster="--job_endpoint=localhost:$jobs_port,--environment_type=EXTERNAL,--environment_config=localhost:$pool_port"
visage step ingest "$@" --set beam.runner=portable --set "beam.options=[$cluster]" --out portable/ingest
visage step ingest "$@" --out local/ingest
(cd portable/ingest && find . -name '*.tfrecord' -exec sha256sum {} + | tee ../shards)
(cd local/ingest && sha256sum --check --quiet ../../portable/shards)
grep -c "Starting worker" pool.log
CLUSTER
inside sh cluster.sh

echo "The command, and what make run does; the second time every step is reused:"
inside visage recipes
inside visage demo-data pipeline-root/demo-archive --photos 2000 --seed 1
inside visage run --recipe demo
again=$(inside visage run --recipe demo)
echo "$again"
[ "$(echo "$again" | grep -c ' reused$')" -eq 6 ]
echo "The image works: $(inside python --version), $(inside getconf GNU_LIBC_VERSION)"
