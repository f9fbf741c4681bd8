/**
 * config.xml for a start: none of the defaults that reach out of the cluster, everything receive-only and cut
 * off. Pure.
 */
import { hostPort, type NodeConfig } from '../../config/index.ts';
import { type Settings, urlOf } from './settings.ts';

const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.codePointAt(0)};`);

const tags = (values: Readonly<Record<string, string | number | boolean>>): string =>
  Object.entries(values)
    .map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
    .join('\n    ');

/** 36 is the version of 1.19; a later Syncthing carries it forward by itself. */
const VERSION = 36;

/** Nothing that no hash can equal lets anybody in by password: with the API key only. */
const NO_PASSWORD = '-';

export function renderConfig(config: NodeConfig, settings: Settings, apiKey: string): string {
  const { files } = config;
  const options = {
    listenAddress: urlOf(config.host_ip, files.port),
    globalAnnounceEnabled: false,
    localAnnounceEnabled: false,
    relaysEnabled: false,
    natEnabled: false,
    startBrowser: false,
    urAccepted: -1,
    crashReportingEnabled: false,
    autoUpgradeIntervalH: 0,
    releasesURL: '',
    // Between members TLS 1.3 and nothing else, whose suites are all AEAD.
    insecureAllowOldTLSVersions: false,
    stunKeepaliveStartS: 0,
    announceLANAddresses: false,
    overwriteRemoteDeviceNamesOnConnect: false,
    reconnectionIntervalS: 5,
    progressUpdateIntervalS: -1,
    restartOnWakeup: false,
    minHomeDiskFree: '',
    databaseTuning: 'small',
  };
  const devices = settings.devices.map(
    (device) => `  <device id="${device.deviceID}" name="${escaped(device.name)}" compression="metadata">
    ${device.addresses.map((address) => `<address>${escaped(address)}</address>`).join('')}
    <paused>${device.paused}</paused>
    <autoAcceptFolders>false</autoAcceptFolders>
  </device>`,
  );
  const folders = settings.folders.map(
    (
      folder,
    ) => `  <folder id="${escaped(folder.id)}" label="${escaped(folder.label)}" path="${escaped(folder.path)}" type="${folder.type}"
    rescanIntervalS="${Math.round(files.rescan_interval / 1000)}" fsWatcherEnabled="true" fsWatcherDelayS="1" ignorePerms="false" autoNormalize="false">
    ${folder.devices.map(({ deviceID }) => `<device id="${deviceID}"></device>`).join('')}
    ${tags({
      ignoreDelete: folder.ignoreDelete,
      // Ownership goes along from 1.22 on; before, what is new gets the owner of the folder it lies in.
      copyOwnershipFromParent: files.keep_ownership,
      syncOwnership: files.keep_ownership,
      sendOwnership: files.keep_ownership,
      maxConflicts: 10,
      order: 'oldestFirst',
    })}
    <minDiskFree unit="%">1</minDiskFree>
    <versioning type="trashcan">
      <param key="cleanoutDays" val="${files.versions_days}"></param>
      <cleanupIntervalS>86400</cleanupIntervalS>
    </versioning>
  </folder>`,
  );
  return `<configuration version="${VERSION}">
${[...folders, ...devices].join('\n')}
  <gui enabled="true" tls="true" debugging="false">
    <address>${escaped(restAddress(config))}</address>
    <user>agent</user>
    <password>${NO_PASSWORD}</password>
    <apikey>${escaped(apiKey)}</apikey>
  </gui>
  <options>
    ${tags(options)}
  </options>
</configuration>
`;
}

export const restAddress = ({ files }: Pick<NodeConfig, 'files'>): string =>
  hostPort(files.rest_address, files.rest_port);
