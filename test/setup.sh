#!/bin/sh
# Makes a Debian machine ready for the demo, the tests and the benchmark. Run by `npm run demo` and `npm test`.
# Installs only what is missing and says each step; a second run finds everything there and does nothing.
# Where it may not install (not root, not Debian) it says what is needed and exits 1.
#
# usage: sh test/setup.sh        what the tests on loopback need
#        sh test/setup.sh lab    that, and what the three-VM lab needs
set -eu
cd "$(dirname "$0")/.."

# One line per program: the test that finds it, then the Debian packages, first candidate wins.
base_programs='
have_postgres  postgresql-15|postgresql  PostgreSQL server, 13 to 18
have:syncthing syncthing                 Syncthing, 1.19 or later
have:consul    consul                    Consul, 1.8 or later
have:setpriv   util-linux                setpriv, to run PostgreSQL as its own user
have_locales   locales                sources of locales, to make one that is not C
have:ps        procps                    ps, to measure processes
have:git       git                       git, for the commit shown by --version
'
lab_programs='
have:debootstrap    debootstrap       debootstrap, the base tree of a VM
have:systemd-nspawn systemd-container systemd-nspawn, the VMs
have:ip             iproute2          ip, network namespaces and bridges
have:iptables       iptables          iptables, partial cuts
have:ipset          ipset             ipset, the kernel lease
'
. test/setup/sources.sh

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Debian keeps the server's programs off PATH, in /usr/lib/postgresql/VERSION/bin.
have_postgres() {
  have postgres && return 0
  for server in /usr/lib/postgresql/*/bin/postgres; do
    [ -x "$server" ] && return 0
  done
  return 1
}

have_locales() { [ -e /usr/share/i18n/locales/de_DE ] && have localedef; }

found() {
  case $1 in
    have:*) have "${1#have:}" ;;
    *) "$1" ;;
  esac
}

# Prints the lines of the list on stdin whose program is missing.
missing_of() {
  while read -r test packages title; do
    [ -n "$test" ] || continue
    found "$test" || printf '%s %s %s\n' "$test" "$packages" "$title"
  done
}

candidate() { apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

# The first of a|b|c that this machine's sources offer.
offered() {
  for package in $(printf '%s' "$1" | tr '|' ' '); do
    if candidate "$package"; then
      printf '%s' "$package"
      return 0
    fi
  done
  return 1
}

work=
policy=
noclusters=
cleanup() {
  [ -z "$policy" ] || rm -f "$policy"
  [ -z "$noclusters" ] || rm -f "$noclusters"
  [ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# While packages are installed: no service is started, and no PostgreSQL cluster "main" is made.
hold_services() {
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  if [ ! -e /etc/postgresql-common/createcluster.d/agent-setup.conf ]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    noclusters=/etc/postgresql-common/createcluster.d/agent-setup.conf
    printf 'create_main_cluster = false\n' >"$noclusters"
  fi
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Dpkg::Use-Pty=0 "$@" >"$work/apt.log" 2>&1 || {
    cat "$work/apt.log" >&2
    die "apt-get install $* failed (its output is above)"
  }
}

install_consul() {
  if candidate consul; then
    say 'installing consul'
    apt_install consul
    return 0
  fi
  say "installing consul from Debian's $consul_suite suite (its own list directory; this machine's sources stay as they are)"
  download_consul "$work/older" >"$work/apt.log" 2>&1 || {
    cat "$work/apt.log" >&2
    die "the mirror of this machine does not serve consul in $consul_suite: put a consul (1.8 or later) on PATH by hand"
  }
  apt_install "$work"/older/consul_*.deb
}

install_programs() {
  missing=$1
  say 'missing on this machine:'
  printf '%s\n' "$missing" | while read -r _ packages title; do say "  $title (Debian package $packages)"; done
  have apt-get || die 'this is not Debian: install the above with the means of this system, then run it again'
  [ "$(id -u)" = 0 ] || die 'only root may install: install the above, or run this once as root'
  work=$(mktemp -d)
  chmod 755 "$work"
  say 'apt-get update'
  apt-get update -q >"$work/apt.log" 2>&1 || {
    cat "$work/apt.log" >&2
    say 'apt-get update failed (above); going on with the package lists that are here'
  }
  hold_services
  printf '%s\n' "$missing" >"$work/missing"
  packages=
  consul=
  while read -r _ names title; do
    if [ "$names" = consul ]; then
      consul=yes
    else
      package=$(offered "$names") || die "no package $names in this machine's sources, needed for: $title"
      packages="$packages $package"
    fi
  done <"$work/missing"
  if [ -n "$packages" ]; then
    say "installing$packages (no service is started, no PostgreSQL cluster is made)"
    # shellcheck disable=SC2086
    apt_install $packages
  fi
  [ -z "$consul" ] || install_consul
}

install_modules() {
  have npm || die 'npm is missing: install Node.js 20 or later with npm'
  say 'npm ci (bun, deno, typescript, biome and the libraries, as pinned in package-lock.json)'
  npm ci --no-audit --no-fund --loglevel=error || die 'npm ci failed'
}

changed=
if [ ! -x node_modules/.bin/bun ] || [ ! -f node_modules/.package-lock.json ] ||
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
  install_modules
  touch node_modules/.package-lock.json
  changed=yes
fi

programs=$base_programs
[ "${1:-}" != lab ] || programs="$programs$lab_programs"
missing=$(printf '%s\n' "$programs" | missing_of)
if [ -n "$missing" ]; then
  install_programs "$missing"
  changed=yes
  still=$(printf '%s\n' "$programs" | missing_of)
  [ -z "$still" ] || die "still missing after the install: $still"
fi
[ -z "$changed" ] || say 'done'
