/**
 * The driver's contract once more through the helper's wire: what a VM's agent has
 * (agent/roles/postgres_helper).
 */
import { join } from 'node:path';
import { passesThroughTheHelper } from '../fixtures/postgres.ts';

for (const name of ['postgres.test.ts', 'postgres_replication.test.ts', 'postgres_late.test.ts'])
  passesThroughTheHelper(join(import.meta.dir, name));
