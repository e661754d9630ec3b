/** Drawings of numbers: intervals, bands over time, lines. Text is always text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** About as wide as it is shown, so that letters keep their size. */
const WIDTH = 430;

function shape(tag, attributes, text = undefined) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function drawing(width, height, label) {
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": label });
  svg.append(shape("title", {}, label));
  return svg;
}

/** From values to places, with a little room at both ends. */
function scale(values, from, to) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  low -= room;
  high += room;
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  place.ticks = ticks(low, high);
  return place;
}

/** Three to six round values between two. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-12; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

/** Intervals one under the other around the line of no difference.
 *  rows: {name, interval: [estimate, low, high], mood, floor?}; floor: what a guard-rail puts up with. */
export function intervals(rows, show, label) {
  const width = WIDTH;
  const step = 34;
  const height = rows.length * step + 26;
  const svg = drawing(width, height, label);
  const all = rows.flatMap((row) => [...row.interval.filter((value) => value !== null), row.floor ?? 0, 0]);
  const x = scale(all, 92, width - 68);
  for (const tick of x.ticks) {
    svg.append(shape("line", { x1: x(tick), x2: x(tick), y1: 4, y2: height - 22, class: tick === 0 ? "zero" : "grid" }));
    svg.append(shape("text", { x: x(tick), y: height - 6, class: "tick middle" }, show(tick)));
  }
  rows.forEach((row, place) => {
    const y = 20 + place * step;
    const [estimate, low, high] = row.interval;
    svg.append(shape("text", { x: 0, y: y + 4, class: "name" }, row.name));
    if (row.floor) svg.append(shape("line", { x1: x(row.floor), x2: x(row.floor), y1: y - 12, y2: y + 12, class: "floor" }));
    if (low !== null && high !== null) {
      svg.append(shape("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: `span ${row.mood}` }));
      for (const end of [low, high]) svg.append(shape("line", { x1: x(end), x2: x(end), y1: y - 5, y2: y + 5, class: `span end ${row.mood}` }));
    }
    svg.append(shape("circle", { cx: x(estimate), cy: y, r: 5.5, class: `point ${row.mood}` }));
    svg.append(shape("text", { x: width, y: y + 4, class: "value right" }, show(estimate)));
  });
  return svg;
}

/** How bands narrowed from look to look. series: {name, points: [{at, estimate, low, high}]}; x is a share of units, a time or
 *  a price. whole: nothing is cut off at the top. */
export function bands(series, show, showAt, label, whole = false) {
  const width = WIDTH;
  const height = 170;
  const svg = drawing(width, height, label);
  const points = series.flatMap((one) => one.points);
  const x = scale(points.map((point) => point.at), 60, width - 12);
  // The first bands are so wide that nothing else would be seen: what is drawn is bounded by the later ones.
  const widths = points.map((point) => Math.max(Math.abs(point.low), Math.abs(point.high))).sort((one, other) => one - other);
  const most = whole ? Infinity : widths[Math.floor(widths.length * 0.8)] * 1.15;
  const cut = (value) => Math.max(-most, Math.min(most, value));
  const y = scale([...points.flatMap((point) => [cut(point.low), cut(point.high)]), 0], height - 24, 8);
  for (const tick of y.ticks) {
    svg.append(shape("line", { x1: 60, x2: width - 12, y1: y(tick), y2: y(tick), class: tick === 0 ? "zero" : "grid" }));
    svg.append(shape("text", { x: 52, y: y(tick) + 4, class: "tick right" }, show(tick)));
  }
  const ends = [...points.map((point) => point.at)].sort((one, other) => one - other);
  for (const [at, side] of [[ends[0], ""], [ends[ends.length - 1], "right"]]) {
    svg.append(shape("text", { x: x(at), y: height - 6, class: `tick ${side}` }, showAt(at)));
  }
  series.forEach((one, place) => {
    const way = (key) => one.points.map((point) => `${x(point.at).toFixed(1)},${y(cut(point[key])).toFixed(1)}`);
    svg.append(shape("polygon", { points: [...way("high"), ...way("low").reverse()].join(" "), class: `band tone${place % 4}` }));
    svg.append(shape("polyline", { points: way("estimate").join(" "), class: `course tone${place % 4}` }));
  });
  return svg;
}

/** Lines over a common axis. series: {name, points: [[x, y]], steps?}; mark: an x to point at. */
export function lines(series, showX, showY, label, mark = undefined) {
  const width = WIDTH;
  const height = 200;
  const svg = drawing(width, height, label);
  const points = series.flatMap((one) => one.points);
  const x = scale([...points.map(([at]) => at), ...(mark === undefined ? [] : [mark])], 64, width - 14);
  const y = scale(points.map(([, value]) => value), height - 26, 10);
  for (const tick of y.ticks) {
    svg.append(shape("line", { x1: 64, x2: width - 14, y1: y(tick), y2: y(tick), class: "grid" }));
    svg.append(shape("text", { x: 56, y: y(tick) + 4, class: "tick right" }, showY(tick)));
  }
  const places = x.ticks.filter((_, place) => x.ticks.length < 6 || place % 2 === 0);
  for (const tick of places) svg.append(shape("text", { x: x(tick), y: height - 6, class: "tick middle" }, showX(tick)));
  if (mark !== undefined) svg.append(shape("line", { x1: x(mark), x2: x(mark), y1: 10, y2: height - 26, class: "floor" }));
  series.forEach((one, place) => {
    const way = [];
    one.points.forEach(([at, value], number) => {
      // A price holds until the next one: steps, not slopes.
      if (one.steps && number) way.push(`${x(at).toFixed(1)},${y(one.points[number - 1][1]).toFixed(1)}`);
      way.push(`${x(at).toFixed(1)},${y(value).toFixed(1)}`);
    });
    svg.append(shape("polyline", { points: way.join(" "), class: `course tone${place % 4}` }));
    if (one.points.length === 1) {
      const [[at, value]] = one.points;
      svg.append(shape("circle", { cx: x(at), cy: y(value), r: 4, class: `point tone${place % 4}` }));
    }
  });
  return svg;
}
