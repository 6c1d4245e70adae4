import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { forbidden, goText, methodNotAllowed, noSuchResource, unsupportedPatchType } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { refusalMessage, resourceOf, type Attributes, type Authorizer } from '../auth/authorizer.ts';
import { checkNodeTokenRequest } from '../admission/node-token-request.ts';
import type { RbacAuthorizer } from '../auth/rbac-authorizer.ts';
import { answerReview } from '../auth/reviews.ts';
import type { ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import type { User } from '../auth/user.ts';
import { schemaTypeOf, type Kind } from '../kinds/kind.ts';
import { asPod } from '../kinds/pod.ts';
import { groupVersions, kindOfResource } from '../kinds/table.ts';
import { readPatch } from '../patch/patch.ts';
import { applyScale, changeScale, scaleOf } from '../scale.ts';
import { evictPod } from '../eviction.ts';
import { bindPod } from '../pod-binding.ts';
import type { Registry, Written } from '../registry.ts';
import { selectedName } from '../selectors.ts';
import { answerError, answerNoSuchPath, answerPlain, answerText, discoveryVersion, negotiate } from './answer.ts';
import {
  applyType,
  contentType,
  patchTypes,
  readApplyBody,
  readOptionalObject,
  readObject,
  readObjectBody,
  readPatchBody,
} from './body.ts';
import { aggregatedDiscovery, discover, version } from './discovery.ts';
import { impersonated } from './impersonation.ts';
import { encodeAs, encodeBookmark, encodeListAs, eventEncoder } from './forms.ts';
import type { KubeletClient } from './kubelet-client.ts';
import { serveNodeProxy } from './node-proxy.ts';
import {
  checkListVersion,
  readDeleteOptions,
  readListOptions,
  readPatchOptions,
  readWatchOptions,
  readWriteOptions,
} from './options.ts';
import { serveLog, serveStream } from './pod-streams.ts';
import { requestInfo, type RequestInfo, type ResourceRequest } from './request-info.ts';
import { statusOfFault, type RecordedRequest, type Traffic } from './traffic.ts';
import type { Upgrade } from './upgrade-relay.ts';
import { serveWatch, type OpenWatch } from './watch.ts';

/** What the server is put together from. */
export interface ApiServerParts {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** What the stored roles give to whom. */
  readonly rbac: RbacAuthorizer;
  readonly serviceAccounts: ServiceAccountTokens;
  readonly kubelet: KubeletClient;
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly log: Logger;
}

/** One request on its way through. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly user: User;
  readonly upgrade: Upgrade | undefined;
}

const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/**
 * The HTTP face of the cluster: every request is parsed, authenticated, authorized and handed to the registry or,
 * for the few resources with a verb of their own, to that verb. It answers with objects or with a `metav1.Status`.
 */
export class ApiServer {
  readonly #parts: ApiServerParts;
  readonly #watches = new Set<OpenWatch>();

  constructor(parts: ApiServerParts) {
    this.#parts = parts;
  }

  /** Open watches, for tests that disturb them. */
  get watches(): ReadonlySet<OpenWatch> {
    return this.#watches;
  }

  /** Answers one request, which may be an upgrade. */
  async handle(request: IncomingMessage, response: ServerResponse, upgrade: Upgrade | undefined): Promise<void> {
    const method = request.method ?? 'GET';
    let record: RecordedRequest | undefined;
    try {
      const url = new URL(`http://localhost${request.url ?? '/'}`);
      const info = requestInfo(method, url);
      const begun = this.#parts.traffic.begin(method, url, info, request.headers);
      ({ record } = begun);
      response.once('finish', () => (begun.record.status = response.statusCode));
      const { fault } = begun;
      if (fault !== undefined) {
        if ('hang' in fault) return;
        if ('status' in fault) {
          if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(fault.retryAfterSeconds));
          answerText(response, fault.status, JSON.stringify(statusOfFault(fault)));
          return;
        }
        if (fault.reset === 'before') {
          request.socket.destroy();
          return;
        }
        // The request takes effect, its answer is lost on the way.
        response.writeHead = () => response.destroy();
      }
      const user = impersonated(
        request.headers,
        this.#parts.authenticator.authenticate(request) ?? anonymous,
        info,
        this.#parts.authorizer,
      );
      record.user = user.name;
      this.#authorize(user, info, url, upgrade !== undefined);
      await this.#serve(info, { request, response, url, user, upgrade });
    } catch (error) {
      answerError(response, error);
      if (response.statusCode >= 500)
        this.#parts.log.warn('request failed', { method, path: record?.path, err: messageOf(error) });
    }
  }

  #authorize(user: User, info: RequestInfo, url: URL, upgrade: boolean): void {
    for (const attributes of attributesOf(info, url, upgrade)) {
      const { allowed, reason } = this.#parts.authorizer(user, attributes);
      if (allowed) continue;
      const name = 'path' in attributes ? '' : (attributes.name ?? '');
      throw forbidden(resourceOf(attributes), name, refusalMessage(user, attributes, reason));
    }
  }

  async #serve(info: RequestInfo, exchange: Exchange): Promise<void> {
    const { request, response, upgrade } = exchange;
    if (info.about === 'path') return this.#serveDiscovery(info.path, exchange);
    const kind = kindOfResource(info.group, info.version, info.resource);
    if (
      !groupVersions().some(({ group, version }) => group === info.group && (group !== '' || version === info.version))
    )
      return answerNoSuchPath(response);
    if (
      kind === undefined ||
      (info.name !== undefined && kind.namespaced && info.namespace === undefined) ||
      (!kind.namespaced && info.namespace !== undefined)
    )
      throw noSuchResource();
    if (kind.review) {
      if (info.name !== undefined) throw noSuchResource();
      if (request.method !== 'POST') throw methodNotAllowed();
      const { authenticator, authorizer, rbac, clock } = this.#parts;
      const asker = { user: exchange.user, namespace: info.namespace, nowMs: clock.now() };
      const answer = answerReview(kind, await readObject(request, kind.kind), asker, {
        authenticator,
        authorizer,
        rbac,
      });
      answerText(response, 201, JSON.stringify(answer));
      return;
    }
    if (info.subresource !== undefined && kind.actions?.[info.subresource] !== undefined)
      return this.#act(kind, info, exchange);
    if (upgrade !== undefined) throw methodNotAllowed();
    if (info.trail !== '' && info.trail !== '/') throw noSuchResource();
    if (info.name === undefined) return this.#serveCollection(kind, info, exchange);
    const isView = info.subresource !== undefined;
    if (
      isView &&
      !(kind.scale && info.subresource === 'scale') &&
      !(kind.status && info.subresource === 'status') &&
      kind.views?.[info.subresource] === undefined
    )
      throw noSuchResource();
    return this.#serveObject(kind, info, info.name, exchange);
  }

  async #serveDiscovery(path: string, { request, response }: Exchange): Promise<void> {
    if (path.startsWith('/openapi/')) return this.#serveOpenApi(path, response);
    if ((path === '/api' || path === '/apis') && request.method === 'GET') {
      if (discoveryVersion(request) !== undefined) {
        response.setHeader('content-type', 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
        answerText(response, 200, JSON.stringify(aggregatedDiscovery(path)));
        return;
      }
    }
    const found = discover(path, request.headers.host ?? '');
    const inKnownGroup = groupVersions().some(({ group }) => group !== '' && path.startsWith(`/apis/${group}/`));
    if (found === undefined && inKnownGroup) throw noSuchResource();
    if (found === undefined) answerNoSuchPath(response);
    else if (typeof found === 'string') answerPlain(response, found);
    else if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
    else answerText(response, 200, JSON.stringify(found));
  }

  /** The documents are large and few ask for them, so what they are made of is loaded by the first who does. */
  async #serveOpenApi(path: string, response: ServerResponse): Promise<void> {
    const { openApiIndex, openApiV2, openApiV3 } = await import('./openapi.ts');
    const [, , format, ...rest] = path.split('/');
    const document = rest.filter(Boolean).join('/');
    if (format === 'v3' && document === '') answerPlain(response, JSON.stringify(openApiIndex(version.gitVersion)));
    else if (format === 'v2' && document === '')
      answerText(response, 200, JSON.stringify(openApiV2(version.gitVersion)));
    else {
      const found = format === 'v3' ? openApiV3(document, version.gitVersion) : undefined;
      if (found === undefined) response.writeHead(404).end();
      else answerText(response, 200, JSON.stringify(found));
    }
  }

  async #serveCollection(kind: Kind, { verb, namespace }: ResourceRequest, exchange: Exchange): Promise<void> {
    const { request, response, url, user } = exchange;
    const { registry, clock } = this.#parts;
    const query = url.searchParams;
    const everywhere = kind.namespaced && namespace === undefined;
    switch (verb) {
      case 'list': {
        const list = readListOptions(kind, namespace, query);
        checkListVersion(query, registry.store.version);
        const metadata = { resourceVersion: String(registry.store.version) };
        const objects = registry.list(kind, list);
        answerText(response, 200, encodeListAs(negotiate(request), kind, objects, metadata, query, clock.now()));
        return;
      }
      case 'watch': {
        const form = negotiate(request);
        serveWatch(response, {
          kind,
          registry,
          list: readListOptions(kind, namespace, query),
          options: readWatchOptions(query),
          encode: eventEncoder(form, kind, query, clock),
          encodeBookmark: (metadata) => encodeBookmark(form, kind, metadata),
          clock,
          open: this.#watches,
        });
        return;
      }
      case 'create':
        if (everywhere) throw methodNotAllowed();
        {
          const { object, oddities } = await readObjectBody(request, kind.kind);
          const options = { ...readWriteOptions('Create', query, request.headers['user-agent']), oddities, user };
          this.#answerWritten(kind, registry.create(kind, namespace, object, options), exchange);
        }
        return;
      case 'deletecollection': {
        if (everywhere) throw methodNotAllowed();
        const options = { ...readDeleteOptions(query, await readOptionalObject(request)), user: exchange.user };
        const gone = registry.deleteCollection(kind, readListOptions(kind, namespace, query), options);
        const metadata = { resourceVersion: String(registry.store.version) };
        answerText(response, 200, encodeListAs(negotiate(request), kind, gone, metadata, query, clock.now()));
        return;
      }
      default:
        throw methodNotAllowed();
    }
  }

  async #serveObject(kind: Kind, info: ResourceRequest, name: string, exchange: Exchange): Promise<void> {
    const { verb, namespace, subresource } = info;
    const { request, response, url, user } = exchange;
    const { searchParams: query } = url;
    const { registry } = this.#parts;
    if (subresource === 'scale' && kind.scale !== undefined)
      return this.#serveScale(kind, verb, namespace, name, exchange);
    switch (verb) {
      case 'get':
        this.#answerObject(kind, 200, registry.get(kind, namespace, name), exchange);
        return;
      case 'update': {
        const { object, oddities } = await readObjectBody(request, kind.kind);
        const options = { ...readWriteOptions('Update', query, request.headers['user-agent']), oddities, user };
        this.#answerWritten(kind, registry.update(kind, namespace, name, subresource, object, options), exchange);
        return;
      }
      case 'patch': {
        const type = contentType(request);
        const known = patchTypes.find((patchType) => patchType === type);
        if (known === undefined && type !== applyType) throw unsupportedPatchType();
        const { force, ...given } = readPatchOptions(query, request.headers['user-agent'], known === undefined);
        if (known === undefined) {
          const { object, oddities } = await readApplyBody(request);
          if (registry.store.get(kind.storedAs?.kind ?? kind, namespace, name) === undefined)
            this.#authorize(user, { ...info, verb: 'create' }, url, false);
          const options = { ...given, force, user, oddities };
          this.#answerWritten(kind, registry.apply(kind, namespace, name, subresource, object, options), exchange);
          return;
        }
        const patch = await readPatchBody(request);
        const options = { ...given, patch: goText(patch), user };
        this.#answerWritten(
          kind,
          registry.change(kind, namespace, name, subresource, readPatch(schemaTypeOf(kind), known, patch), options),
          exchange,
        );
        return;
      }
      case 'delete': {
        if (subresource !== undefined) throw methodNotAllowed();
        const options = {
          ...readDeleteOptions(url.searchParams, await readOptionalObject(request)),
          user: exchange.user,
        };
        const object = registry.delete(kind, namespace, name, options);
        const remains =
          registry.store.get(kind.storedAs?.kind ?? kind, namespace, name)?.metadata.uid === object.metadata.uid;
        if (kind.returnsDeleted || (remains && options.dryRun !== true))
          this.#answerObject(kind, 200, object, exchange);
        else answerText(response, 200, JSON.stringify(deletedStatus(kind, object)));
        return;
      }
      default:
        throw methodNotAllowed();
    }
  }

  /** The scale of a workload, which is no view on it but an object of its own kind. */
  async #serveScale(
    kind: Kind,
    verb: string,
    namespace: string | undefined,
    name: string,
    { request, response, url, user }: Exchange,
  ): Promise<void> {
    const { registry } = this.#parts;
    const agent = request.headers['user-agent'];
    switch (verb) {
      case 'get':
        answerText(response, 200, JSON.stringify(scaleOf(kind, registry.get(kind, namespace, name))));
        return;
      case 'update': {
        const body = await readObject(request, 'Scale');
        const options = { ...readWriteOptions('Update', url.searchParams, agent), user };
        answerText(response, 200, JSON.stringify(changeScale(registry, kind, namespace, name, () => body, options)));
        return;
      }
      case 'patch': {
        const type = contentType(request);
        const known = patchTypes.find((patchType) => patchType === type);
        if (known === undefined && type !== applyType) throw unsupportedPatchType();
        const options = { ...readPatchOptions(url.searchParams, agent, known === undefined), user };
        if (known === undefined) {
          const { object } = await readApplyBody(request);
          answerText(response, 200, JSON.stringify(applyScale(registry, kind, namespace, name, object, options)));
          return;
        }
        const patch = await readPatchBody(request);
        const apply = readPatch('Scale', known, patch);
        const scale = changeScale(registry, kind, namespace, name, apply, { ...options, patch: goText(patch) });
        answerText(response, 200, JSON.stringify(scale));
        return;
      }
      default:
        throw methodNotAllowed();
    }
  }

  /** The subresources with a verb of their own. */
  async #act(
    kind: Kind,
    { verb, resource, namespace, name = '', subresource = '', trail }: ResourceRequest,
    exchange: Exchange,
  ): Promise<void> {
    const { request, response, url, upgrade } = exchange;
    const { registry, serviceAccounts, kubelet, clock } = this.#parts;
    if (!kind.actions?.[subresource]?.verbs.includes(verb)) throw methodNotAllowed();
    switch (`${resource}/${subresource}`) {
      case 'nodes/proxy':
        return serveNodeProxy(name, `${trail}${url.search}`, request, response, upgrade, kubelet);
      case 'serviceaccounts/token': {
        const body = await readObject(request);
        checkNodeTokenRequest(registry.store, exchange.user, namespace as string, name, body);
        answerText(response, 201, JSON.stringify(serviceAccounts.request(namespace as string, name, body)));
        return;
      }
      case 'pods/eviction':
        evictPod(registry, clock, {
          namespace: namespace as string,
          name,
          body: await readObject(request),
          dryRun: readWriteOptions('Create', url.searchParams, undefined).dryRun === true,
          user: exchange.user,
          deleteOptions: (body) => readDeleteOptions(new URLSearchParams(), body),
        });
        answerText(
          response,
          201,
          JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
        );
        return;
      case 'pods/binding':
        bindPod(registry, clock, namespace as string, name, await readObject(request));
        answerText(
          response,
          201,
          JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
        );
        return;
      case 'pods/log':
        return serveLog(asPod(registry.get(kind, namespace, name)), url.searchParams, response, kubelet);
      case 'pods/exec':
      case 'pods/attach':
      case 'pods/portforward':
        return serveStream(
          subresource as 'exec' | 'attach' | 'portforward',
          asPod(registry.get(kind, namespace, name)),
          url.searchParams,
          request,
          response,
          upgrade,
          kubelet,
        );
      default:
        throw noSuchResource();
    }
  }

  #answerWritten(kind: Kind, { object, created, warnings }: Written, exchange: Exchange): void {
    this.#answerObject(kind, created ? 201 : 200, object, exchange, warnings);
  }

  #answerObject(
    kind: Kind,
    code: number,
    object: ApiObject,
    { request, response, url }: Exchange,
    warnings: readonly string[] = [],
  ): void {
    const text = encodeAs(negotiate(request), kind, object, url.searchParams, this.#parts.clock.now());
    answerText(response, code, text, warnings);
  }
}

/** What must be allowed for a request: one thing, and `create` too for streams that begin with a GET. */
function attributesOf(info: RequestInfo, url: URL, upgrade: boolean): Attributes[] {
  if (info.about === 'path') return [{ verb: info.verb, path: info.path }];
  const { group, version, resource, namespace, name, subresource, verb } = info;
  const kind = kindOfResource(group, version, resource);
  const fields =
    kind !== undefined && (verb === 'list' || verb === 'watch' || verb === 'deletecollection')
      ? (readListOptions(kind, namespace, url.searchParams).fields ?? [])
      : [];
  // A namespace is authorized within itself.
  const within = namespace ?? (resource === 'namespaces' && group === '' ? name : undefined);
  const attributes = {
    verb,
    group,
    version,
    resource,
    subresource,
    namespace: within,
    name: name ?? selectedName(fields),
    fields,
  };
  const opensStream = upgrade && verb === 'get' && ['exec', 'attach', 'portforward'].includes(subresource ?? '');
  return opensStream ? [attributes, { ...attributes, verb: 'create' }] : [attributes];
}

function deletedStatus(kind: Kind, { metadata: { name, uid } }: ApiObject) {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(kind.group !== '' && { group: kind.group }), kind: kind.resource, uid },
  };
}
