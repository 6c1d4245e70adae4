/**
 * Prometheus' text format 0.0.4, as Go's client writes it (github.com/prometheus/common/expfmt/text_create.go):
 * families by name, labels by name, numbers in Go's shortest form.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** The stability that Kubernetes promises for a metric; shown in its help. */
export type Stability = 'ALPHA' | 'BETA' | 'STABLE';

export interface MetricFamily {
  readonly name: string;
  /** Begins with the stability in brackets where Kubernetes names one. */
  readonly help: string;
  readonly type: MetricType;
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** With `_bucket`, `_sum` or `_count` when it is of a histogram. */
  readonly name: string;
  /** In the order in which they are written. */
  readonly labels: readonly Label[];
  readonly value: number;
  /** When the value was measured, milliseconds since the epoch; absent: when it is scraped. */
  readonly at?: number;
}

export type Label = readonly [name: string, value: string];

export const textFormat = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

/** The families in the order of their names; those without a sample are left out. */
export function exposition(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, help, type, samples } of families.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`, `# TYPE ${name} ${type}`);
    for (const sample of samples) lines.push(line(sample));
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function line({ name, labels, value, at }: Sample): string {
  const pairs = labels.map(([label, text]) => `${label}="${escaped(text)}"`).join(',');
  return `${name}${pairs === '' ? '' : `{${pairs}}`} ${goNumber(value)}${at === undefined ? '' : ` ${Math.round(at)}`}`;
}

function escaped(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : text;
}

/** `strconv.FormatFloat(value, 'g', -1, 64)`. */
export function goNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return '0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
