import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { codeOf, messageOf } from '../../../src/core/errors.ts';
import { createProvider, loadPlugin, parseProviderConfig } from '../../../src/providers/registry.ts';
import { providerContext } from '../../../src/testing/index.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const checkout = fileURLToPath(new URL('../../..', import.meta.url));

async function load(name: string, config: unknown = {}) {
  return createProvider(await loadPlugin(name, here), name, config, providerContext());
}

async function failure(name: string, config?: unknown): Promise<unknown> {
  return load(name, config).then(
    () => undefined,
    (err: unknown) => err,
  );
}

describe('loading a provider', () => {
  it('takes a built-in one by its name', async () => {
    const created = await load('simulated');
    expect(created.kind === 'PodProvider' && created.provider.name).toBe('simulated');
  });

  it('takes one out of a file, from where anylet was started', async () => {
    const plugin = await loadPlugin('./examples/provider-hello/index.ts', checkout);
    expect(plugin.kind).toBe('PodProvider');
  });

  it.each([
    ['./plugins/throws.ts', 'cannot be loaded: no licence for Tuesdays'],
    ['./plugins/no-provider.ts', 'exports no `provider`'],
    ['./plugins/other-version.ts', 'is made for the contract anylet/v2, this anylet has anylet/v1alpha1'],
    ['./plugins/other-kind.ts', 'has the kind Toaster, which is none of PodProvider, ContainerRuntime'],
    ['./plugins/lacks-methods.ts', 'lacks run(), stop() of a PodProvider'],
    ['./plugins/makes-nothing.ts', 'created none instead of a PodProvider'],
    ['./plugins/nowhere.ts', 'is no file'],
  ])('refuses %s in one message that names it', async (name, says) => {
    const error = await failure(name);
    expect(codeOf(error)).toBe('InvalidInput');
    expect(messageOf(error)).toContain(`provider ${name} ${says}`);
    expect(messageOf(error)).not.toContain('\n');
  });

  it('names all that a runtime lacks', async () => {
    const message = messageOf(await failure('./plugins/runtime-lacks.ts'));
    expect(message).toMatch(
      /lacks runtimeVersion, features, watch\(\), runSandbox\(\), .*health\(\) of a ContainerRuntime$/,
    );
  });

  it('keeps the cause of what a plugin throws at load', async () => {
    const { cause } = (await failure('./plugins/throws.ts')) as Error;
    expect(messageOf(cause)).toBe('no licence for Tuesdays');
  });

  it('tells a backend that does not start from a wrong configuration', async () => {
    const error = await failure('./plugins/cannot-start.ts');
    expect(codeOf(error)).toBeUndefined();
    expect(messageOf(error)).toBe('provider ./plugins/cannot-start.ts cannot be started: backend is asleep');
  });

  it('says which settings of a provider are wrong', async () => {
    const plugin = await loadPlugin('simulated');
    const parse = () => parseProviderConfig(plugin, 'simulated', { startDelay: 'soon', podCIDR: '10.0.0.0/33' });
    expect(parse).toThrow(
      /^provider simulated has a wrong configuration: startDelay: .*; podCIDR: is not an IPv4 range/,
    );
  });
});
