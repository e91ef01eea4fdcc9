// The ratio as it was, and as it would have been in one or two replays; the band as a field, moves as ticks.

import { fetchLibrary } from "./chart.js";

const HEIGHT = 220;
const DASHES = [[], [7, 4], [2, 3]]; // so that not only the colour tells the lines apart
const COLOURS = ["--ink", "--moving", "--out"];

/** A chart inside `box`; `onPoint` is given the time under the pointer, in seconds, or null. */
export class ReplayChart {
  constructor(box, onPoint) {
    this.box = box;
    this.onPoint = onPoint;
    this.plot = null;
    this.histories = [];
    new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: HEIGHT })).observe(box);
    window.addEventListener("ballast:theme", () => this.plot && this.build(window.uPlot));
  }

  width() {
    return Math.max(200, Math.floor(this.box.clientWidth));
  }

  /** Show the histories of one asset in one or two replays, as the API gives them. */
  async show(histories) {
    const uPlot = await fetchLibrary();
    this.histories = histories;
    this.build(uPlot);
  }

  /** Times, the ratio as it was, and one line for each replay. */
  data(uPlot) {
    const number = (ratio) => (ratio === null ? null : Number(ratio));
    const tables = this.histories.map(({ points }, index) => {
      const times = points.map(([at]) => at);
      const would = points.map(([, , ratio]) => number(ratio));
      return index ? [times, would] : [times, points.map(([, ratio]) => number(ratio)), would];
    });
    return tables.length === 1 ? tables[0] : uPlot.join(tables, tables.map((table) => table.map(() => 2)));
  }

  build(uPlot) {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: colour("--muted"), font, ticks: { show: false } };
    const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const line = (index) => ({
      stroke: colour(COLOURS[index]),
      width: 1.5,
      dash: DASHES[index],
      paths: uPlot.paths.stepped({ align: 1 }),
      points: { show: false },
    });
    const options = {
      width: this.width(),
      height: HEIGHT,
      padding: [14, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { y: { range: (plot, low, high) => this.heights(low, high) } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, seconds) => seconds.map((at) => days.format(new Date(at * 1000))), space: 110, size: 28 },
        { ...axis, grid: { stroke: colour("--hair"), width: 1 }, size: 40, values: (_, values) => values.map((value) => value.toFixed(2)) },
      ],
      series: [{}, line(0), ...this.histories.map((_, index) => line(index + 1))],
      hooks: {
        drawClear: [(plot) => this.drawBand(plot, colour)],
        draw: [(plot) => this.drawMoves(plot, colour)],
        setCursor: [(plot) => this.onPoint(plot.cursor.idx === null || plot.cursor.idx === undefined ? null : plot.data[0][plot.cursor.idx])],
      },
    };
    this.plot = new uPlot(options, this.data(uPlot), this.box);
  }

  heights(low, high) {
    const bands = this.histories.flatMap((one) => [Number(one.lower), Number(one.upper), Number(one.base_lower), Number(one.base_upper)]);
    const bottom = Math.min(low ?? 0.5, ...bands);
    const top = Math.max(high ?? 0.5, ...bands);
    const air = Math.max(0.02, (top - bottom) * 0.14);
    return [Math.max(0, bottom - air), Math.min(1, top + air)];
  }

  /** The band of the settings as a field; the edges of each replay's own band as lines of its colour. */
  drawBand(plot, colour) {
    const { ctx, bbox } = plot;
    const place = (ratio) => plot.valToPos(Math.min(1, Math.max(0, Number(ratio))), "y", true);
    const first = this.histories[0];
    ctx.save();
    ctx.fillStyle = colour("--band");
    ctx.fillRect(bbox.left, place(first.base_upper), bbox.width, place(first.base_lower) - place(first.base_upper));
    for (const [index, one] of this.histories.entries()) {
      ctx.strokeStyle = colour(COLOURS[index + 1]);
      ctx.globalAlpha = 0.5;
      ctx.setLineDash(DASHES[index + 1].map((length) => length * devicePixelRatio));
      for (const edge of [one.lower, one.upper]) {
        ctx.beginPath();
        ctx.moveTo(bbox.left, place(edge));
        ctx.lineTo(bbox.left + bbox.width, place(edge));
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  /** What was moved is ticked along the top, what would have been along the bottom, a row for each replay. */
  drawMoves(plot, colour) {
    const { ctx, bbox } = plot;
    const unit = devicePixelRatio;
    const rows = [
      [this.histories[0].real, bbox.top - 6 * unit],
      ...this.histories.map((one, index) => [one.virtual, bbox.top + bbox.height - (8 + 8 * index) * unit]),
    ];
    ctx.save();
    for (const [index, [moves, top]] of rows.entries()) {
      ctx.fillStyle = colour(COLOURS[index]);
      for (const move of moves) {
        const at = plot.valToPos(Date.parse(move.opened_at) / 1000, "x", true);
        if (at >= bbox.left && at <= bbox.left + bbox.width) ctx.fillRect(at - 1.5 * unit, top, 3 * unit, 6 * unit);
      }
    }
    ctx.restore();
  }
}
