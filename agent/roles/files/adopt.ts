import { CALL, type Context, look } from './context.ts';

/** What a Syncthing that ran on without the agent was told by an earlier one. */
export async function adopt(ctx: Context): Promise<void> {
  const whole = (await ctx.rest().get('config', CALL)) as {
    folders: { type: string }[];
    devices: { deviceID: string; paused: boolean }[];
  };
  const open = whole.devices.filter(({ paused }) => !paused).map(({ deviceID }) => deviceID);
  const followed = ctx.home.memory.members.filter(({ deviceId }) => open.includes(deviceId));
  const leads = whole.folders.length > 0 && whole.folders.every(({ type }) => type === 'sendonly');
  const [only, ...more] = followed;
  ctx.stance ??= leads
    ? { kind: 'leading' }
    : only !== undefined && more.length === 0 && !ctx.home.memory.led
      ? { kind: 'following', node: only.node }
      : { kind: 'apart' };
  await look(ctx);
}
