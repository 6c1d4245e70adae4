// `npm run control-plane`: a Kubernetes control plane for a person, until Ctrl-C.
import { dirname } from 'node:path';
import { startControlPlane } from '../test/e2e/control-plane/index.ts';

// From the start, so that Ctrl-C while it starts leaves nothing behind either; and for good, since npm may relay a
// signal that the terminal has sent as well.
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, resolve);
});

const startedAt = performance.now();
const controlPlane = await startControlPlane();
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);

console.log(`# Kubernetes ${controlPlane.kubernetesVersion}, started in ${seconds} s; logs in ${controlPlane.dir}`);
console.log('# Ctrl-C stops it and removes its files. In another terminal:');
console.log(`export KUBECONFIG=${controlPlane.kubeconfigPath}`);
console.log(`export PATH=${dirname(controlPlane.kubectl)}:$PATH  # a kubectl of the same version`);

const alive = setInterval(() => {}, 60_000);
await interrupted;
clearInterval(alive);
await controlPlane.stop();
