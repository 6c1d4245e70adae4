import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import {
  forbidden,
  goText,
  methodNotAllowed,
  noSuchResource,
  unauthorized,
  unsupportedPatchType,
} from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { refusalMessage, resourceOf, type Attributes, type Authorizer } from '../auth/authorizer.ts';
import { answerReview } from '../auth/reviews.ts';
import type { ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import type { User } from '../auth/user.ts';
import { encodeList, encodeObject } from '../encoding.ts';
import { apiVersionOf, type Kind } from '../kinds/kind.ts';
import { asPod } from '../kinds/pod.ts';
import { groupVersions, kindOfResource } from '../kinds/table.ts';
import { readPatch } from '../patch/patch.ts';
import { bindPod } from '../pod-binding.ts';
import type { Registry, Written } from '../registry.ts';
import { selectedName } from '../selectors.ts';
import { answerError, answerNoSuchPath, answerText, negotiate } from './answer.ts';
import { contentType, parseJson, patchTypes, readBody, readObject } from './body.ts';
import { discover } from './discovery.ts';
import type { KubeletClient } from './kubelet-client.ts';
import { serveNodeProxy } from './node-proxy.ts';
import { checkListVersion, readDeleteOptions, readListOptions, readWatchOptions, readWriteOptions } from './options.ts';
import { serveLog, serveStream } from './pod-streams.ts';
import { requestInfo, type RequestInfo, type ResourceRequest } from './request-info.ts';
import { encodeTable } from './table.ts';
import { statusOfFault, type RecordedRequest, type Traffic } from './traffic.ts';
import type { Upgrade } from './upgrade-relay.ts';
import { serveWatch, type OpenWatch } from './watch.ts';
import { isJsonObject, type JsonObject } from '../json.ts';

/** What the server is put together from. */
export interface ApiServerParts {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
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
      const user = this.#authenticate(request, info);
      record.user = user.name;
      this.#authorize(user, info, url, upgrade !== undefined);
      await this.#serve(info, { request, response, url, user, upgrade });
    } catch (error) {
      answerError(response, error);
      if (response.statusCode >= 500)
        this.#parts.log.warn('request failed', { method, path: record?.path, err: messageOf(error) });
    }
  }

  #authenticate(request: IncomingMessage, info: RequestInfo): User {
    const user = this.#parts.authenticator.authenticate(request);
    if (user !== undefined) return user;
    // Without credentials only what the bootstrap policy shows to everybody.
    const open =
      info.about === 'path' &&
      request.headers.authorization === undefined &&
      this.#parts.authorizer(anonymous, { verb: info.verb, path: info.path }).allowed;
    if (!open) throw unauthorized();
    return anonymous;
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
      const { authenticator, authorizer, clock } = this.#parts;
      answerText(
        response,
        201,
        JSON.stringify(
          answerReview(kind, await readObject(request), exchange.user, clock.now(), authenticator, authorizer),
        ),
      );
      return;
    }
    if (info.subresource !== undefined && kind.actions?.[info.subresource] !== undefined)
      return this.#act(kind, info, exchange);
    if (upgrade !== undefined) throw methodNotAllowed();
    if (info.trail !== '' && info.trail !== '/') throw noSuchResource();
    if (info.name === undefined) return this.#serveCollection(kind, info, exchange);
    const isView = info.subresource !== undefined;
    if (isView && !(kind.status && info.subresource === 'status') && kind.views?.[info.subresource] === undefined)
      throw noSuchResource();
    return this.#serveObject(kind, info, info.name, exchange);
  }

  #serveDiscovery(path: string, { request, response }: Exchange): void {
    const found = discover(path, request.headers.host ?? '');
    const inKnownGroup = groupVersions().some(({ group }) => group !== '' && path.startsWith(`/apis/${group}/`));
    if (found === undefined && inKnownGroup) throw noSuchResource();
    if (found === undefined) answerNoSuchPath(response);
    else if (typeof found === 'string') {
      response
        .writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' })
        .end(found);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
    else answerText(response, 200, JSON.stringify(found));
  }

  async #serveCollection(kind: Kind, { verb, namespace }: ResourceRequest, exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange;
    const { registry, clock } = this.#parts;
    const query = url.searchParams;
    const everywhere = kind.namespaced && namespace === undefined;
    switch (verb) {
      case 'list': {
        const list = readListOptions(kind, namespace, query);
        checkListVersion(query, registry.store.version);
        const version = String(registry.store.version);
        const objects = registry.list(kind, list);
        const text =
          negotiate(request) === 'table'
            ? encodeTable(kind, objects, version, clock.now())
            : encodeList(kind.kind, apiVersionOf(kind), version, objects);
        answerText(response, 200, text);
        return;
      }
      case 'watch': {
        const form = negotiate(request);
        const encode =
          form === 'object'
            ? encodeObject
            : (object: ApiObject) => encodeTable(kind, [object], object.metadata.resourceVersion ?? '', clock.now());
        serveWatch(response, {
          kind,
          registry,
          list: readListOptions(kind, namespace, query),
          options: readWatchOptions(query),
          encode,
          clock,
          open: this.#watches,
        });
        return;
      }
      case 'create':
        if (everywhere) throw methodNotAllowed();
        this.#answerWritten(
          kind,
          registry.create(kind, namespace, await readObject(request), readWriteOptions(query)),
          exchange,
        );
        return;
      case 'deletecollection': {
        if (everywhere) throw methodNotAllowed();
        const options = readDeleteOptions(query, await readOptionalObject(request));
        const gone = registry.deleteCollection(kind, readListOptions(kind, namespace, query), options);
        answerText(response, 200, encodeList(kind.kind, apiVersionOf(kind), String(registry.store.version), gone));
        return;
      }
      default:
        throw methodNotAllowed();
    }
  }

  async #serveObject(
    kind: Kind,
    { verb, namespace, subresource }: ResourceRequest,
    name: string,
    exchange: Exchange,
  ): Promise<void> {
    const { request, response, url } = exchange;
    const { registry } = this.#parts;
    switch (verb) {
      case 'get':
        this.#answerObject(kind, 200, registry.get(kind, namespace, name), exchange);
        return;
      case 'update':
        this.#answerWritten(
          kind,
          registry.update(
            kind,
            namespace,
            name,
            subresource,
            await readObject(request),
            readWriteOptions(url.searchParams),
          ),
          exchange,
        );
        return;
      case 'patch': {
        const type = contentType(request);
        const known = patchTypes.find((patchType) => patchType === type);
        if (known === undefined) throw unsupportedPatchType();
        const patch = parseJson((await readBody(request)) ?? '');
        const options = { ...readWriteOptions(url.searchParams), patch: goText(patch) };
        this.#answerWritten(
          kind,
          registry.change(kind, namespace, name, subresource, readPatch(kind.kind, known, patch), options),
          exchange,
        );
        return;
      }
      case 'delete': {
        if (subresource !== undefined) throw methodNotAllowed();
        const options = readDeleteOptions(url.searchParams, await readOptionalObject(request));
        const object = registry.delete(kind, namespace, name, options);
        const remains = registry.store.get(kind, namespace, name)?.metadata.uid === object.metadata.uid;
        if (kind.returnsDeleted || (remains && options.dryRun !== true))
          this.#answerObject(kind, 200, object, exchange);
        else answerText(response, 200, JSON.stringify(deletedStatus(kind, object)));
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
      case 'serviceaccounts/token':
        answerText(
          response,
          201,
          JSON.stringify(serviceAccounts.request(namespace as string, name, await readObject(request))),
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
    { request, response }: Exchange,
    warnings: readonly string[] = [],
  ): void {
    const table = negotiate(request) === 'table';
    const text = table
      ? encodeTable(kind, [object], object.metadata.resourceVersion ?? '', this.#parts.clock.now())
      : encodeObject(object);
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

async function readOptionalObject(request: IncomingMessage): Promise<JsonObject | undefined> {
  const text = await readBody(request);
  const value = text === undefined ? undefined : parseJson(text);
  return isJsonObject(value) ? value : undefined;
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
