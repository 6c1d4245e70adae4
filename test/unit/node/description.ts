import type { NodeDescription } from '../../../src/node/node-status.ts';

export const description: NodeDescription = {
  name: 'n1',
  ips: ['192.0.2.1', 'fd00::1'],
  kubeletPort: 10250,
  kubeletVersion: 'v1.36.3+anylet.0.1.0',
  containerRuntimeVersion: 'process://0.1.0',
  machine: {
    operatingSystem: 'linux',
    architecture: 'amd64',
    kernelVersion: '6.1.0',
    osImage: 'Example Linux',
    machineID: 'machine',
    systemUUID: 'system',
    bootID: 'boot-1',
  },
  capacity: { cpu: '4', memory: '8Gi', pods: '110' },
  declaredFeatures: ['B', 'A'],
};
