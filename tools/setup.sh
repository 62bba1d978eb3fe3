#!/bin/sh
# setup.sh LIST - installs the Debian packages of LIST (one per line, # comments) that are missing.
# As root or with sudo that asks nothing: installs them. Otherwise prints the one command to run, and fails.
set -eu
missing=
for package in $(sed 's/#.*//' "$1"); do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo=sudo
else
    echo "hone needs Debian packages that are not installed. Run this, then the same make command again:" >&2
    echo "  sudo $install" >&2
    exit 1
fi
echo "installing:$missing"
$sudo apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive $sudo $install -q >/dev/null
