import type { Service } from '../core/objects.ts';

/** Where containers reach the API server when the cluster IP of `default/kubernetes` is not reachable from them. */
export interface ApiServerAddress {
  /** An IP address or a host name, without brackets. */
  readonly host: string;
  readonly port: number;
}

const apiServerService = 'kubernetes';

/**
 * The variables that tell a container of services: those of its namespace when the pod wants service links, and
 * always `default/kubernetes`, whose address `apiServer` replaces. A service of the pod's namespace named `kubernetes`
 * comes before the one of `default`. Follows `getServiceEnvVarMap` of pkg/kubelet/kubelet_pods.go.
 */
export function serviceVariables(
  namespace: string,
  enableServiceLinks: boolean,
  services: readonly Service[],
  apiServer?: ApiServerAddress,
): Map<string, string> {
  const chosen = new Map<string, Service>();
  if (apiServer !== undefined) chosen.set(apiServerService, apiServerAt(apiServer));
  for (const service of services) {
    const name = service.metadata?.name ?? '';
    if (!hasClusterIP(service)) continue;
    const own = service.metadata?.namespace === namespace && enableServiceLinks;
    const isApiServer = service.metadata?.namespace === 'default' && name === apiServerService;
    if (isApiServer && (apiServer !== undefined || (chosen.has(name) && namespace !== 'default'))) continue;
    if (own || isApiServer) chosen.set(name, service);
  }
  const variables = new Map<string, string>();
  for (const [name, service] of [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)))
    addVariables(variables, name, service);
  return variables;
}

function hasClusterIP(service: Service): boolean {
  const ip = service.spec?.clusterIP;
  return ip !== undefined && ip !== '' && ip !== 'None';
}

function apiServerAt({ host, port }: ApiServerAddress): Service {
  return {
    metadata: { name: apiServerService, namespace: 'default' },
    spec: { clusterIP: host, ports: [{ name: 'https', port, protocol: 'TCP' }] },
  };
}

/** The variables of one service, the docker links included: pkg/kubelet/envvars/envvars.go. */
function addVariables(variables: Map<string, string>, serviceName: string, service: Service): void {
  const ip = service.spec?.clusterIP ?? '';
  const host = ip.includes(':') ? `[${ip}]` : ip;
  const prefix = variableName(serviceName);
  variables.set(`${prefix}_SERVICE_HOST`, ip);
  for (const [i, { name, port, protocol = 'TCP' }] of (service.spec?.ports ?? []).entries()) {
    const scheme = protocol.toLowerCase();
    const url = `${scheme}://${host}:${port}`;
    if (i === 0) {
      variables.set(`${prefix}_SERVICE_PORT`, String(port));
      variables.set(`${prefix}_PORT`, url);
    }
    if (name !== undefined && name !== '') variables.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
    const link = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    variables.set(link, url);
    variables.set(`${link}_PROTO`, scheme);
    variables.set(`${link}_PORT`, String(port));
    variables.set(`${link}_ADDR`, ip);
  }
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
