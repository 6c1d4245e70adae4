// With this extension jest leaves the file and all that it imports to Node.js.
// oxlint-disable-next-line import/no-default-export -- jest takes the default export
export { setUp as default } from './run-cluster.ts';
