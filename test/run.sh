#!/bin/sh
# What `npm test` calls: the set-up, then every stage. `npm test -- unit` runs one stage, `npm test -- --list` names them.
# The last line is always `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
if ! sh test/setup.sh; then
  echo 'the machine is not ready: nothing was tested'
  echo '0 passed, 1 failed'
  exit 1
fi
# The lab's programs are one stage's: without them it is left out aloud, and all else is tested.
sh test/setup.sh lab || echo 'the machine is not ready for the lab of virtual machines: its stage will say why'
exec node_modules/.bin/bun test/run.ts "$@"
