import { randomInt } from 'node:crypto';

/** Without vowels and digits that look like letters, so that no word comes out. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Five random characters, as `generateName` appends them. */
export function randomSuffix(): string {
  let suffix = '';
  for (let i = 0; i < 5; i++) suffix += alphabet[randomInt(alphabet.length)];
  return suffix;
}

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;

const rules = {
  subdomain: {
    form: new RegExp(`^${subdomain}$`),
    longest: 253,
    message: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
  },
  label: {
    form: new RegExp(`^${label}$`),
    longest: 63,
    message: `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
  },
} as const;

/** What is wrong with a name, in the words of k8s.io/apimachinery/pkg/util/validation; undefined when nothing is. */
export function nameError(name: string, rule: keyof typeof rules | 'path'): string | undefined {
  if (rule === 'path') return pathSegmentError(name);
  const { form, longest, message } = rules[rule];
  if (name.length > longest) return `must be no more than ${longest} characters`;
  if (form.test(name)) return undefined;
  return rule === 'label' && rules.subdomain.form.test(name) ? 'must not contain dots' : message;
}

/** Some kinds take any name that can stand in a path (pkg/api/validation/path). */
function pathSegmentError(name: string): string | undefined {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  const wrong = ['/', '%'].filter((character) => name.includes(character));
  return wrong.length === 0 ? undefined : wrong.map((character) => `may not contain '${character}'`).join(', ');
}

const qualifiedName =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const wordForm = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

/** What is wrong with the key of a label or an annotation: `app`, `example.com/app`. */
export function qualifiedNameError(key: string): string | undefined {
  const [first = '', second, ...more] = key.split('/');
  if (more.length > 0)
    return `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  const name = second ?? first;
  if (second !== undefined) {
    if (first === '') return 'prefix part must be non-empty';
    const wrong = nameError(first, 'subdomain');
    if (wrong !== undefined) return `prefix part ${wrong}`;
  }
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return 'name part must be no more than 63 bytes';
  return wordForm.test(name) ? undefined : qualifiedName;
}

export function labelValueError(value: string): string | undefined {
  if (value.length > 63) return 'must be no more than 63 bytes';
  return value === '' || wordForm.test(value) ? undefined : labelValue;
}
