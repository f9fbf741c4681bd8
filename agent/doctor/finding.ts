export * from '../platform/finding.ts';
