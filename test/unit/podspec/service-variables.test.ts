import { describe, expect, it } from '@jest/globals';

import { serviceVariables } from '../../../src/podspec/service-variables.ts';
import { service } from './fixtures.ts';

const apiServer = service('kubernetes', 'default', '10.96.0.1', [['https', 443, 'TCP']]);
const apiServerVariables = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};
const of = (...args: Parameters<typeof serviceVariables>) => Object.fromEntries(serviceVariables(...args));

describe('serviceVariables', () => {
  it('always tells of the API server', () => {
    expect(of('ns', false, [apiServer, service('other', 'ns', '10.96.0.9', [[undefined, 80]])])).toEqual(
      apiServerVariables,
    );
  });

  it('tells of the services of the namespace, in all their old forms', () => {
    const dns = service('kube-dns', 'ns', '10.96.0.10', [
      ['dns', 53, 'UDP'],
      ['dns-tcp', 53, 'TCP'],
    ]);
    expect(of('ns', true, [apiServer, dns])).toEqual({
      ...apiServerVariables,
      KUBE_DNS_SERVICE_HOST: '10.96.0.10',
      KUBE_DNS_SERVICE_PORT: '53',
      KUBE_DNS_SERVICE_PORT_DNS: '53',
      KUBE_DNS_SERVICE_PORT_DNS_TCP: '53',
      KUBE_DNS_PORT: 'udp://10.96.0.10:53',
      KUBE_DNS_PORT_53_UDP: 'udp://10.96.0.10:53',
      KUBE_DNS_PORT_53_UDP_PROTO: 'udp',
      KUBE_DNS_PORT_53_UDP_PORT: '53',
      KUBE_DNS_PORT_53_UDP_ADDR: '10.96.0.10',
      KUBE_DNS_PORT_53_TCP: 'tcp://10.96.0.10:53',
      KUBE_DNS_PORT_53_TCP_PROTO: 'tcp',
      KUBE_DNS_PORT_53_TCP_PORT: '53',
      KUBE_DNS_PORT_53_TCP_ADDR: '10.96.0.10',
    });
  });

  it('puts an IPv6 address in brackets in a URL only', () => {
    const variables = of('ns', true, [service('v6', 'ns', 'fd00::5', [[undefined, 80]])]);
    expect(variables).toMatchObject({
      V6_SERVICE_HOST: 'fd00::5',
      V6_PORT: 'tcp://[fd00::5]:80',
      V6_PORT_80_TCP_ADDR: 'fd00::5',
    });
    expect(variables).not.toHaveProperty('V6_SERVICE_PORT_');
  });

  it.each([
    ['headless', service('h', 'ns', 'None', [[undefined, 1]])],
    ['without an address', service('h', 'ns', undefined, [[undefined, 1]])],
    ['of another namespace', service('h', 'other', '10.0.0.1', [[undefined, 1]])],
  ])('leaves out a service %s', (_, hidden) => {
    expect(of('ns', true, [hidden])).toEqual({});
  });

  it.each([[0], [1]])('prefers the namespace\'s own "kubernetes", in any order', (turn) => {
    const own = service('kubernetes', 'ns', '10.96.7.7', [['x', 7]]);
    const services = turn === 0 ? [own, apiServer] : [apiServer, own];
    expect(of('ns', true, services)['KUBERNETES_SERVICE_HOST']).toBe('10.96.7.7');
    expect(of('ns', false, services)['KUBERNETES_SERVICE_HOST']).toBe('10.96.0.1');
  });

  it('points to where the API server is reached instead', () => {
    const variables = of('default', true, [apiServer], { host: '192.0.2.1', port: 6443 });
    expect(variables).toEqual({
      KUBERNETES_SERVICE_HOST: '192.0.2.1',
      KUBERNETES_SERVICE_PORT: '6443',
      KUBERNETES_SERVICE_PORT_HTTPS: '6443',
      KUBERNETES_PORT: 'tcp://192.0.2.1:6443',
      KUBERNETES_PORT_6443_TCP: 'tcp://192.0.2.1:6443',
      KUBERNETES_PORT_6443_TCP_PROTO: 'tcp',
      KUBERNETES_PORT_6443_TCP_PORT: '6443',
      KUBERNETES_PORT_6443_TCP_ADDR: '192.0.2.1',
    });
    expect(of('ns', false, [], { host: '192.0.2.1', port: 6443 })).toEqual(variables);
  });
});
