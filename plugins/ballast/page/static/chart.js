// One uPlot chart: the ratio as steps, its band as a field, its target as a line, operations as marks.
// The library is fetched when the first chart is drawn; the rest of the page does not wait for it.

let library = null;

/** Return uPlot, fetched once. */
export function fetchLibrary() {
  library ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "static/vendor/uplot/uPlot.min.css";
    const script = document.createElement("script");
    script.src = "static/vendor/uplot/uPlot.iife.min.js";
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => {
      library = null; // so that the next look tries again
      reject(new Error("the chart could not be loaded"));
    };
    document.head.append(style, script);
  });
  return library;
}

const HEIGHT = 220;

/** A chart inside `box` that can be given new data and follows the width and the colours of the page. */
export class RatioChart {
  constructor(box, onPoint) {
    this.box = box;
    this.onPoint = onPoint;
    this.plot = null;
    this.history = null;
    new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: HEIGHT })).observe(box);
    window.addEventListener("ballast:theme", () => this.rebuild());
  }

  width() {
    return Math.max(200, Math.floor(this.box.clientWidth));
  }

  /** Show a history as the API gives it; `from` and `to` are seconds. */
  async show(history, from, to) {
    const uPlot = await fetchLibrary();
    this.history = history;
    this.range = [from, to];
    if (!this.plot) this.build(uPlot);
    else this.plot.setData(this.data());
  }

  data() {
    const times = this.history.points.map(([at]) => at);
    const ratios = this.history.points.map(([, ratio]) => (ratio === null ? null : Number(ratio)));
    return [times, ratios];
  }

  rebuild() {
    if (!this.plot) return;
    this.plot.destroy();
    this.build(window.uPlot);
  }

  build(uPlot) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: colour("--muted"), font, ticks: { show: false } };
    const grid = { stroke: colour("--hair"), width: 1 };
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const options = {
      width: this.width(),
      height: HEIGHT,
      padding: [14, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: colour("--ink") } },
      scales: { x: { range: () => this.range }, y: { range: () => this.heights() } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, seconds) => this.timeLabels(seconds, clock), space: 70, size: 28 },
        { ...axis, grid, size: 40, values: (_, values) => values.map((value) => value.toFixed(2)) },
      ],
      series: [
        {},
        {
          stroke: colour("--ink"),
          width: 1.5,
          paths: uPlot.paths.stepped({ align: 1 }),
          points: { show: false },
          spanGaps: false,
        },
      ],
      hooks: {
        drawClear: [(plot) => this.drawBehind(plot, colour)],
        draw: [(plot) => this.drawMarks(plot, colour)],
        setCursor: [(plot) => this.onPoint(plot.cursor.idx ?? null)],
      },
    };
    this.plot = new uPlot(options, this.data(), this.box);
  }

  timeLabels(seconds, clock) {
    const days = this.range[1] - this.range[0] > 2 * 86400;
    const words = new Intl.DateTimeFormat(undefined, days ? { day: "numeric", month: "short" } : clock);
    let last = "";
    return seconds.map((at) => {
      const label = words.format(new Date(at * 1000));
      const repeated = label === last;
      last = label;
      return repeated ? "" : label;
    });
  }

  /** The part of 0 to 1 that is worth seeing: the band and everything the ratio did, with some air. */
  heights() {
    const seen = this.data()[1].filter((ratio) => ratio !== null);
    const low = Math.min(Number(this.history.lower), ...seen);
    const high = Math.max(Number(this.history.upper), ...seen);
    const air = Math.max(0.02, (high - low) * 0.12);
    return [Math.max(0, low - air), Math.min(1, high + air)];
  }

  drawBehind(plot, colour) {
    const { ctx, bbox } = plot;
    const [top, bottom] = [this.history.upper, this.history.lower].map((one) => plot.valToPos(Number(one), "y", true));
    ctx.save();
    ctx.fillStyle = colour("--band");
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    const target = plot.valToPos(Number(this.history.target), "y", true);
    ctx.strokeStyle = colour("--muted");
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, target);
    ctx.lineTo(bbox.left + bbox.width, target);
    ctx.stroke();
    ctx.restore();
  }

  /** Each operation is a bar along the top from when it was opened to when it was closed. */
  drawMarks(plot, colour) {
    const { ctx, bbox } = plot;
    const unit = devicePixelRatio;
    ctx.save();
    for (const operation of this.history.operations) {
      const [from, to] = this.span(operation);
      const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, "x", true));
      if (right < bbox.left || left > bbox.left + bbox.width) continue;
      ctx.fillStyle = colour(operation.status === "cancelled" ? "--muted" : "--moving");
      ctx.globalAlpha = 0.12;
      ctx.fillRect(left, bbox.top, Math.max(right - left, unit), bbox.height);
      ctx.globalAlpha = 1;
      const height = 3 * unit;
      const top = bbox.top - height - 2 * unit;
      const width = Math.max(right - left, 4 * unit);
      if (operation.status === "cancelled") {
        ctx.strokeStyle = colour("--muted"); // hollow, so that not only the colour says it
        ctx.strokeRect(left + 0.5, top + 0.5, width, height - 1);
      } else {
        ctx.fillRect(left, top, width, height);
      }
    }
    ctx.restore();
  }

  span(operation) {
    const from = Date.parse(operation.opened_at) / 1000;
    return [from, operation.closed_at ? Date.parse(operation.closed_at) / 1000 : this.range[1]];
  }

  /** The operations that were open at a moment, in seconds. */
  operationsAt(seconds) {
    return this.history.operations.filter((operation) => {
      const [from, to] = this.span(operation);
      return from <= seconds && seconds <= to;
    });
  }
}
