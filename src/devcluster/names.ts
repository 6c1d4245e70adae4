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
export function nameError(name: string, rule: keyof typeof rules): string | undefined {
  const { form, longest, message } = rules[rule];
  if (rule === 'label' && name.includes('.')) return 'must not contain dots';
  if (name.length > longest) return `must be no more than ${longest} characters`;
  return form.test(name) ? undefined : message;
}
