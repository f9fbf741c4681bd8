#!/bin/sh
# What `npm test` calls: the set-up, then every stage. `npm test -- quick` runs what is run before every commit,
# `npm test -- unit dev-cluster` the stages named, `npm test -- --list` tells which there are. The last line is always
# `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
if ! sh test/setup.sh; then
  echo 'the machine is not ready: nothing was tested'
  echo '0 passed, 1 failed'
  exit 1
fi
# The lab's programs are one stage's: without them it is left out aloud, and all else is tested.
case " ${*:-lab} " in
  *' lab '* | *test/lab/*) sh test/setup.sh lab || echo 'the machine is not ready for the lab of virtual machines: its stage will say why' ;;
esac
exec node_modules/.bin/bun test/run.ts "$@"
