#!/bin/sh
# Builds the root file system that every VM of the lab starts from: Debian 12 with systemd and what a manager has.
# Called by tree.ts, which keys the result by the text of this file, locks, and renames it into place when it is whole.
#
# usage: sh test/lab/tree/build.sh DIRECTORY    (must not exist; root; needs debootstrap)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../setup/sources.sh"
tree=$1
suite=bookworm

packages='iptables ipset nftables sudo postgresql-15 syncthing rabbitmq-server curl ca-certificates logrotate
  openssl procps iproute2 python3 python3-pika python3-psycopg2'

say() { printf 'tree: %s\n' "$*"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"

debian_sources "$suite" "$work/parts" || {
  say "no Debian source for $suite in /etc/apt: the lab is built on Debian 12" >&2
  exit 1
}
mirror=$(sed -n -E 's/^URIs: +([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' "$work"/parts/* | head -n 1)

say "debootstrap $suite"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus "$suite" "$tree" "$mirror" >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  exit 1
}

say 'consul'
download_consul "$work/older" >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  exit 1
}

# Packages start nothing here, and PostgreSQL gets no cluster "main": the lab makes the founder's data itself.
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
mkdir -p "$tree/etc/postgresql-common/createcluster.d"
printf 'create_main_cluster = false\n' >"$tree/etc/postgresql-common/createcluster.d/lab.conf"
cp "$work"/older/consul_*.deb "$tree/root/"
rm -f "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/*
cp "$work"/parts/* "$tree/etc/apt/sources.list.d/"
apt-config dump | sed -n -E '/^Acquire::https?::[Pp]roxy/p' >"$tree/etc/apt/apt.conf.d/90lab-proxy"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
cp /etc/hosts "$tree/etc/hosts"

say 'packages of a manager'
# shellcheck disable=SC2086
chroot "$tree" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  DEBIAN_FRONTEND=noninteractive sh -ec "
    apt-get -q update
    apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 install $(printf '%s' "$packages" | tr '\n' ' ') /root/consul_*.deb
    apt-get -q clean
    rm -rf /root/consul_*.deb /var/lib/apt/lists/*
  " >"$work/log" 2>&1 || {
  tail -n 30 "$work/log" >&2
  exit 1
}

say 'settings'
rm -f "$tree/usr/sbin/policy-rc.d" "$tree/etc/apt/apt.conf.d/90lab-proxy" "$tree/etc/resolv.conf" "$tree/etc/hostname"
: >"$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id"
# One name on every VM, so that the broker's files work on each of them.
printf 'NODENAME=rabbit@localhost\n' >"$tree/etc/rabbitmq/rabbitmq-env.conf"
# The journal survives a power cut, so that it can be read afterwards.
mkdir -p "$tree/var/log/journal" "$tree/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSyncIntervalSec=1s\n' >"$tree/etc/systemd/journald.conf.d/lab.conf"
# A manager has no Consul service of its own, and nothing else wakes up by itself while times are taken. The broker takes 13 s of
# every boot: the manager's own set-up enables it.
for unit in consul.service rabbitmq-server.service epmd.service epmd.socket apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service; do
  chroot "$tree" systemctl -q disable "$unit" 2>/dev/null || true
done
say 'built'
