/**
 * Folders with their owners, those of /run among them. Setgid where one user writes what another's group
 * reads.
 */
import { dirname, join } from 'node:path';
import type { Config } from '../config/index.ts';
import { ROOT_SOCKETS } from '../platform/paths.ts';
import {
  consulUser,
  POSTGRES_LOG_DIR,
  POSTGRES_USER,
  ROOT_LOG_DIR,
  ROOT_STATE_DIR,
  syncthingUser,
} from '../trampoline/names.ts';
import { CONFIG_FILE, HOOK_POINTS, libDir, POSTGRES_RUN_DIR, postgresConfDir } from './names.ts';
import { folder, type WantedFolder } from './wanted.ts';

/** Parents come before what is in them. */
export function folders(config: Config): WantedFolder[] {
  const { user, group, paths, consul } = config;
  const consulOwner = consulUser(config);
  const syncthingOwner = syncthingUser(config);
  return [
    folder(dirname(paths.executable), 'root', 'root', 0o755),
    folder(dirname(CONFIG_FILE), 'root', group, 0o755),
    folder(paths.firewall_dir, 'root', 'root', 0o755),
    folder(paths.ssl_dir, user, group, 0o2750),
    folder(join(paths.ssl_dir, 'consul'), user, consulOwner, 0o2750),
    folder(consul.config_dir, user, consulOwner, 0o2750),
    folder(paths.hooks_dir, 'root', 'root', 0o755),
    ...HOOK_POINTS.map((point) => folder(join(paths.hooks_dir, `${point}.d`), 'root', 'root', 0o755)),
    folder(libDir(config), 'root', group, 0o755),
    folder(paths.state_dir, user, group, 0o2750),
    folder(postgresConfDir(config), POSTGRES_USER, user, 0o2750),
    folder(consul.data_dir, consulOwner, user, 0o2750),
    // The agent writes configuration and certificate, Syncthing its index. It shuts its home at each start.
    { ...folder(config.files.home_dir, user, syncthingOwner, 0o2770), orMode: 0o700 },
    // Copies of databases, written by the server's user and the agent's. Consul's and Syncthing's users are
    // in neither's group.
    folder(paths.diverged_dir, POSTGRES_USER, user, 0o2770),
    folder(dirname(paths.log_file), user, group, 0o2750),
    folder(ROOT_STATE_DIR, 'root', 'root', 0o700),
    folder(ROOT_LOG_DIR, 'root', 'root', 0o700),
    folder(POSTGRES_LOG_DIR, 'root', POSTGRES_USER, 0o750),
    ...runFolders(config),
  ];
}

/** Gone at each boot: systemd-tmpfiles makes them again. */
export function runFolders({ user, group, paths, firewall }: Config): WantedFolder[] {
  return [
    folder(paths.run_dir, user, group, 0o750),
    folder(dirname(firewall.lease_socket), 'root', user, 0o750),
    folder(POSTGRES_RUN_DIR, POSTGRES_USER, user, 0o750),
    // Who may enter may call root: systemd makes the sockets, for one user each.
    folder(dirname(ROOT_SOCKETS.agent), 'root', user, 0o750),
    folder(dirname(ROOT_SOCKETS.postgres), 'root', POSTGRES_USER, 0o750),
  ];
}
