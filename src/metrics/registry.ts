import {
  exposition,
  goNumber,
  type Label,
  type MetricFamily,
  type MetricType,
  type Sample,
  type Stability,
} from './exposition.ts';

/** What a metric is called and what it counts. */
export interface MetricDefinition<L extends string = string> {
  readonly name: string;
  readonly help: string;
  /** Kubernetes names its own; absent for what is not Kubernetes'. */
  readonly stability?: Stability;
  readonly labels?: readonly L[];
}

/** A value for each label of a metric. */
type LabelValues<L extends string> = Readonly<Record<L, string>>;

/** Buckets of Prometheus' Go client. */
export const defaultBuckets: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `count` bounds, the first `start`, each `factor` times the one before. */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => start * factor ** index);
}

/**
 * Series of one metric by the values of their labels. Who uses it sees to it that there is a bounded number of them:
 * never a label that a client or a pod can choose.
 */
class Series<L extends string, V> {
  readonly #names: readonly L[];
  readonly #series = new Map<string, { readonly labels: readonly Label[]; readonly value: V }>();
  readonly #create: () => V;

  constructor(names: readonly L[], create: () => V) {
    this.#names = names.toSorted();
    this.#create = create;
    // A metric without labels is there from the start, as zero.
    if (names.length === 0) this.at({} as LabelValues<L>);
  }

  at(values: LabelValues<L>): V {
    let key = '';
    for (const name of this.#names) key += `${values[name]}\0`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: this.#names.map((name) => [name, values[name]]), value: this.#create() };
      this.#series.set(key, series);
    }
    return series.value;
  }

  /** In the order of their labels' values. */
  sorted(): { readonly labels: readonly Label[]; readonly value: V }[] {
    return [...this.#series].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, series]) => series);
  }

  clear(): void {
    this.#series.clear();
    if (this.#names.length === 0) this.at({} as LabelValues<L>);
  }
}

/** Only ever grows. */
export class Counter<L extends string = never> {
  protected readonly series: Series<L, { value: number }>;

  constructor(labels: readonly L[]) {
    this.series = new Series(labels, () => ({ value: 0 }));
  }

  add(labels: LabelValues<L>, amount = 1): void {
    this.series.at(labels).value += amount;
  }

  samples(name: string): Sample[] {
    return this.series.sorted().map(({ labels, value }) => ({ name, labels, value: value.value }));
  }

  clear(): void {
    this.series.clear();
  }
}

/** Also goes back. */
export class Gauge<L extends string = never> extends Counter<L> {
  set(labels: LabelValues<L>, value: number): void {
    this.series.at(labels).value = value;
  }
}

interface Distribution {
  /** How many observations were at most each bound and more than the one before. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/** How often a value was how large. */
export class Histogram<L extends string = never> {
  readonly #bounds: readonly number[];
  readonly #series: Series<L, Distribution>;

  constructor(labels: readonly L[], bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#series = new Series(labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }));
  }

  observe(labels: LabelValues<L>, value: number): void {
    const distribution = this.#series.at(labels);
    distribution.sum += value;
    distribution.count++;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) distribution.counts[bucket] = (distribution.counts[bucket] ?? 0) + 1;
  }

  samples(name: string): Sample[] {
    return this.#series.sorted().flatMap(({ labels, value: { counts, sum, count } }) => {
      let below = 0;
      const buckets = this.#bounds.map((bound, index): Sample => {
        below += counts[index] ?? 0;
        return { name: `${name}_bucket`, labels: [...labels, ['le', goNumber(bound)]], value: below };
      });
      return [
        ...buckets,
        { name: `${name}_bucket`, labels: [...labels, ['le', '+Inf']], value: count },
        { name: `${name}_sum`, labels, value: sum },
        { name: `${name}_count`, labels, value: count },
      ] satisfies Sample[];
    });
  }

  clear(): void {
    this.#series.clear();
  }
}

/** What a metric that is read when it is scraped answers. */
export type Reading<L extends string> = readonly { readonly labels?: LabelValues<L>; readonly value: number }[];

/** The metrics of one endpoint. */
export class Registry {
  readonly #families: (() => MetricFamily)[] = [];
  readonly #metrics: { clear(): void }[] = [];

  counter<L extends string = never>(definition: MetricDefinition<L>): Counter<L> {
    return this.#add('counter', definition, new Counter<L>(definition.labels ?? []));
  }

  gauge<L extends string = never>(definition: MetricDefinition<L>): Gauge<L> {
    return this.#add('gauge', definition, new Gauge<L>(definition.labels ?? []));
  }

  histogram<L extends string = never>(
    definition: MetricDefinition<L> & { readonly buckets?: readonly number[] },
  ): Histogram<L> {
    const { labels = [], buckets = defaultBuckets } = definition;
    return this.#add('histogram', definition, new Histogram<L>(labels, buckets));
  }

  /** A metric whose value somebody else keeps; `read` is called at each scrape. */
  reading<L extends string = never>(
    definition: MetricDefinition<L> & { readonly type: 'counter' | 'gauge' },
    read: () => number | Reading<L>,
  ): void {
    this.#families.push(() => {
      const now = read();
      const readings: Reading<L> = typeof now === 'number' ? [{ value: now }] : now;
      const names = (definition.labels ?? []).toSorted();
      const samples = readings.map(({ labels, value }) => ({
        name: definition.name,
        labels: names.map((name): Label => [name, labels?.[name] ?? '']),
        value,
      }));
      return family(definition.type, definition, samples);
    });
  }

  /** What is to be scraped, as text. */
  render(): string {
    return exposition(this.#families.map((read) => read()));
  }

  /** Forgets every series. */
  clear(): void {
    for (const metric of this.#metrics) metric.clear();
  }

  #add<L extends string, M extends { samples(name: string): Sample[]; clear(): void }>(
    type: MetricType,
    definition: MetricDefinition<L>,
    metric: M,
  ): M {
    this.#metrics.push(metric);
    this.#families.push(() => family(type, definition, metric.samples(definition.name)));
    return metric;
  }
}

function family(
  type: MetricType,
  { name, help, stability }: MetricDefinition<never> | MetricDefinition,
  samples: readonly Sample[],
): MetricFamily {
  return { name, type, help: stability === undefined ? help : `[${stability}] ${help}`, samples };
}
