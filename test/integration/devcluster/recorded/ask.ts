import { Agent, request } from 'undici';

import { normalize } from './normalize.ts';
import { requests } from './requests.ts';

/** What a server said to one request. */
export interface Answer {
  /** The request, for people who read the file. */
  readonly request: string;
  readonly code: number;
  readonly type: string;
  readonly warning?: string | string[];
  readonly body: unknown;
}

/** Puts all requests to a server, one after the other, as its administrator. */
export async function ask(server: string, credentials: { ca: string; cert: string; key: string }): Promise<Answer[]> {
  const dispatcher = new Agent({ allowH2: false, connect: credentials });
  const answers: Answer[] = [];
  try {
    for (const [method, path, body, contentType = 'application/json', headers] of requests) {
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const response = await request(`${server}${path}`, {
        method: method as 'GET',
        dispatcher,
        headers: { ...(text !== undefined && { 'content-type': contentType }), ...headers },
        ...(text !== undefined && { body: text }),
      });
      const { warning, 'content-type': type } = response.headers;
      answers.push({
        request: `${method} ${path}${text === undefined ? '' : ` ${text.slice(0, 200)}`}`,
        code: response.statusCode,
        type: String(type ?? '').split(';', 1)[0] ?? '',
        ...(warning !== undefined && { warning }),
        body: normalize(await response.body.text()),
      });
    }
  } finally {
    await dispatcher.close();
  }
  return answers;
}
