/** Latencies in buckets of about 2 %: constant memory, any number of samples. */
export class Histogram {
  private readonly counts = new Float64Array(1_024);
  private total = 0;

  record(ms: number): void {
    const bucket = Math.max(0, Math.min(1_023, Math.round(Math.log(Math.max(ms, 0.001) / 0.001) / Math.log(1.02))));
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.total += 1;
  }
  quantileMs(q: number): number {
    let seen = 0;
    for (let i = 0; i < this.counts.length; i++) {
      seen += this.counts[i] as number;
      if (seen >= q * this.total && this.total > 0) return Number((0.001 * 1.02 ** i).toPrecision(3));
    }
    return 0;
  }
  get count(): number {
    return this.total;
  }
  reset(): void {
    this.counts.fill(0);
    this.total = 0;
  }
}
