// oxlint-disable-next-line import/no-default-export -- jest takes the default export
export { tearDown as default } from './run-cluster.ts';
