# Sourced by test/setup.sh and test/lab/tree/build.sh: this machine's Debian sources, for another list directory.
# Mirror, keys and proxies stay what they are here; nothing of this machine is changed.

# Debian 12 carries no Consul; the suite before it does, and its package runs there unchanged.
consul_suite=bullseye

# debian_sources SUITE DIRECTORY: copies the sources (deb822 *.sources or classic *.list) with SUITE in the place of this
# machine's own. Others' repositories and the extra suites (security, updates) are dropped. Fails when none is left.
debian_sources() {
  suite=$1
  parts=$2
  own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  [ -n "$own" ] || return 1
  mkdir -p "$parts"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    awk -v own="$own" -v suite="$suite" '
      BEGIN { RS = ""; ORS = "\n\n" }
      {
        n = split($0, line, "\n"); keep = 0; text = ""
        for (i = 1; i <= n; i++) {
          if (line[i] ~ /^#/) continue
          if (line[i] ~ /^Suites:/) {
            m = split(line[i], word, " ")
            for (j = 2; j <= m; j++) if (word[j] == own) keep = 1
            line[i] = "Suites: " suite
          }
          if (line[i] ~ /^Components:/) line[i] = "Components: main"
          text = text (text == "" ? "" : "\n") line[i]
        }
        if (keep) print text
      }' "$file" >"$parts/$(basename "$file")"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] || continue
    sed -n -E "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)$own( .*)?\$/\1$suite main/p" "$file" >"$parts/$(basename "$file")"
  done
  find "$parts" -type f ! -size +1c -exec rm -f {} +
  [ -n "$(ls -A "$parts")" ]
}

# apt_in DIRECTORY ARGUMENT...: apt-get with the sources in DIRECTORY/parts and all lists and archives below DIRECTORY.
apt_in() {
  lists=$1
  shift
  mkdir -p "$lists/lists/partial" "$lists/archives/partial"
  apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$lists/parts" \
    -o Dir::State::lists="$lists/lists" -o Dir::Cache::archives="$lists/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

# download_consul DIRECTORY: leaves consul_*.deb of the older suite in DIRECTORY.
download_consul() {
  debian_sources "$consul_suite" "$1/parts" && apt_in "$1" update && chmod 755 "$1" && (cd "$1" && apt_in "$1" download consul)
}
