/**
 * Every setting of anylet, once: this schema checks the configuration file as it is written, the flags and variables
 * are derived from it (`settings.ts`), and `anylet config schema` prints it as JSON Schema.
 */
import { isIP } from 'node:net';

import { z } from 'zod';

import { labelValue, qualifiedName, quantity, subdomain } from './kubernetes-names.ts';

/** Marks a setting that names a file or folder: a relative one is resolved where it was written. */
export const paths = z.registry<{ mustExist: boolean }>();

const file = (description: string) => z.string().min(1).register(paths, { mustExist: true }).describe(description);
const folder = (description: string) => z.string().min(1).register(paths, { mustExist: false }).describe(description);
const ip = z.string().refine((text) => isIP(text) !== 0, 'is not an IP address');

const taint = z.strictObject({
  key: z.string().regex(qualifiedName, 'is not a taint key'),
  value: z.string().regex(labelValue, 'is not a taint value').exactOptional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
});

/** `key=value:Effect` or `key:Effect`, as `kubectl taint` takes it. */
const taintText = z
  .string()
  .regex(
    /^[^=:]+(=[^=:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$/,
    'is not key=value:Effect with NoSchedule, PreferNoSchedule or NoExecute',
  )
  .transform((text) => {
    const [, key = '', value, effect] = /^([^=:]+)(?:=([^=:]*))?:(.*)$/.exec(text) ?? [];
    return { key, ...(value === undefined ? {} : { value }), effect: effect as z.output<typeof taint>['effect'] };
  })
  .pipe(taint);

export const schema = z.strictObject({
  kubeconfig: file(
    'Kubeconfig of the cluster to join; default: $KUBECONFIG, else the ServiceAccount of a pod',
  ).optional(),
  stateDir: folder(
    'What must outlive the daemon; default: /var/lib/anylet for root, else ~/.local/state/anylet',
  ).optional(),
  takeover: z.boolean().default(false).describe('Take the node name over at once from another live instance'),
  node: z
    .strictObject({
      name: z
        .string()
        .max(63)
        .regex(subdomain, 'is not a lower-case DNS-1123 subdomain')
        .optional()
        .describe("Name of the Node; default: this machine's host name"),
      ip: z
        .union([ip, z.array(ip).min(1)])
        .optional()
        .describe("The Node's address, at most one per family, primary first; default: the first that is no loopback"),
      labels: z
        .record(
          z.string().regex(qualifiedName, 'is not a label key'),
          z.string().regex(labelValue, 'is not a label value'),
        )
        .default({})
        .describe('Labels of the Node beside its own'),
      taints: z
        .array(z.union([taintText, taint]))
        .optional()
        .describe('Taints set when the Node is created; default: virtual-kubelet.io/provider=<provider>:NoSchedule'),
      capacity: z
        .record(
          z.string().regex(qualifiedName, 'is not a resource name'),
          z.union([z.string().regex(quantity, 'is not a quantity'), z.number().nonnegative().transform(String)]),
        )
        .default({})
        .describe('Resources of the Node where they differ from what the provider or the machine has, e.g. cpu=4'),
      recreate: z.boolean().default(true).describe('Create the Node anew when somebody deletes it'),
    })
    .prefault({}),
  provider: z
    .strictObject({
      name: z
        .string()
        .min(1)
        .default('process')
        .describe('What runs the pods: process, simulated, a path (./provider.ts) or the name of an npm package'),
      config: z.record(z.string(), z.unknown()).default({}).describe("The provider's own settings"),
    })
    .prefault({}),
  kubelet: z
    .strictObject({
      listenAddress: ip.default('0.0.0.0').describe('Where the kubelet API listens'),
      listenPort: z.int().min(0).max(65535).default(10250).describe('Port of the kubelet API; 0 picks a free one'),
      healthzAddress: ip.default('127.0.0.1').describe('Where health checks are answered without authentication'),
      healthzPort: z
        .int()
        .min(0)
        .max(65535)
        .default(0)
        .describe('Port of /healthz and /readyz without authentication; 0 answers none'),
      tlsCertFile: file('Serving certificate, PEM; default: a self-signed one').optional(),
      tlsPrivateKeyFile: file('Key of the serving certificate, PEM').optional(),
      clientCAFile: file("CAs of client certificates, PEM; default: the cluster's own").optional(),
    })
    .prefault({}),
  pods: z
    .strictObject({
      max: z.int().min(1).default(110).describe('How many pods the Node takes'),
      clusterDNS: z.array(ip).max(3).default([]).describe('Name servers of pods with the cluster DNS policy'),
      clusterDomain: z
        .string()
        .regex(subdomain, 'is not a domain')
        .default('cluster.local')
        .describe('Domain of Services'),
    })
    .prefault({}),
  logs: z
    .strictObject({
      directory: folder(
        "Container logs, in the kubelet's layout; default: logs/pods in the state directory",
      ).optional(),
      maxSize: z
        .union([z.string().regex(/^\d+(\.\d+)?([kMGT]|[KMGT]i)?$/, 'is not a size such as 10Mi'), z.int().positive()])
        .default('10Mi')
        .describe('Size at which a container log is rotated'),
      maxFiles: z.int().min(2).default(5).describe('Log files kept per container, the current one included'),
      links: folder(
        'Folder for <pod>_<namespace>_<container>-<id>.log links to the current logs; default: none',
      ).optional(),
    })
    .prefault({}),
  shutdown: z
    .strictObject({
      pods: z.enum(['leave', 'stop']).default('leave').describe('What happens to the pods when the daemon is stopped'),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('What the daemon says of itself'),
      format: z.enum(['auto', 'json', 'text']).default('auto').describe('auto: text on a terminal, else JSON'),
    })
    .prefault({}),
});

/** The settings as they are written, checked. */
export type Settings = z.output<typeof schema>;
