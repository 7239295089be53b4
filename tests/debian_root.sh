#!/bin/bash
# Try Visage on another Debian or Ubuntu: make a root of it, install there as a newcomer does, and run the tests in it.
#
#   tests/debian_root.sh FOLDER [SUITE [COMMAND...]]     as root, with debootstrap; 8 GB and half an hour
#   tests/debian_root.sh /var/tmp/trixie trixie          Debian 13, Python 3.13 (the default): make env, then pytest
#   tests/debian_root.sh /var/tmp/noble noble            Ubuntu 24.04, Python 3.12
#   tests/debian_root.sh /var/tmp/trixie trixie .venv/bin/visage recipes
#   KEYRING=FILE tests/debian_root.sh ...                with keys that this machine's debootstrap does not have
#
# The working tree is copied into the root anew each time; FOLDER and its environment are kept. The registries are
# reached as they are from here: resolv.conf, hosts, certificates, pip's settings and the environment come along.
set -euo pipefail
root=${1:?folder}
suite=${2:-trixie}
shift "$(($# < 2 ? $# : 2))"
if [ $# -eq 0 ]; then set -- .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder; fi
cd "$(dirname "$0")/.."

case $suite in
noble) archive=(http://archive.ubuntu.com/ubuntu gutsy) components=main,universe ;;  # gutsy: debootstrap's script for all of Ubuntu
*) archive=(http://deb.debian.org/debian) components=main ;;
esac
if ! [ -e "$root/etc/debian_version" ]; then
    debootstrap --variant=minbase --components="$components" ${KEYRING:+--keyring="$KEYRING"} \
        --include=ca-certificates,python3,python3-venv,python3-pip,python3-dev,make,git,g++ "$suite" "$root" "${archive[@]}"
fi
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    if [ -e "$file" ]; then install -D -m 644 "$file" "$root$file"; fi
done

mkdir -p "$root/visage"
find "$root/visage" -mindepth 1 -maxdepth 1 ! -name .venv ! -name '*.egg-info' -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | tar --create --null --files-from=- | tar --extract --directory "$root/visage"

unmount() { for name in proc dev/shm dev; do umount "$root/$name" 2>/dev/null || true; done; }
trap unmount EXIT
unmount
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/shm "$root/dev/shm"

inside() {
    env -u PYTHONPATH -u VIRTUAL_ENV -u PIP_FIND_LINKS HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        chroot "$root" sh -c 'cd /visage && exec "$@"' sh "$@"
}
# The tests ask git which commit they run on.
inside git init --quiet
inside git add --all
inside git -c user.name=visage -c user.email=visage@localhost commit --quiet --message "as it is here"
inside make env
echo "In $suite: $(inside .venv/bin/python --version), $(inside getconf GNU_LIBC_VERSION)"
inside "$@"
