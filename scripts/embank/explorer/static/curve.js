// A learning curve: accuracy by the number of labels, with its interval, and the goal as a dashed line.
// @ts-check
import { percent, svg } from "./dom.js";

/** @typedef {{labels: number, accuracy: number, low?: number | null, high?: number | null}} Step */

const WIDTH = 460, HEIGHT = 210, LEFT = 46, RIGHT = 14, TOP = 12, BOTTOM = 34;

/** @param {Step[]} steps in order of labels @param {{goal?: number | null, label?: string}} [how] @returns {SVGElement} */
export function curve(steps, { goal = null, label = "Learning curve" } = {}) {
  const most = Math.max(...steps.map(step => step.labels), 1), first = Math.min(...steps.map(step => step.labels), most - 1);
  const values = steps.flatMap(step => [step.low ?? step.accuracy, step.high ?? step.accuracy]).concat(goal ?? []);
  const floor = Math.max(0, Math.floor(Math.min(...values, .9) * 10) / 10 - .0001), roof = Math.min(1, Math.ceil(Math.max(...values, floor + .2) * 10) / 10);
  const x = (/** @type {number} */ labels) => LEFT + (labels - first) / (most - first || 1) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ share) => HEIGHT - BOTTOM - (share - floor) / (roof - floor) * (HEIGHT - TOP - BOTTOM);
  const ticks = [0, 1, 2].map(i => floor + (roof - floor) * i / 2);
  const last = steps.at(-1);
  const around = [...steps.map(step => `${x(step.labels)},${y(step.high ?? step.accuracy)}`), ...[...steps].reverse().map(step => `${x(step.labels)},${y(step.low ?? step.accuracy)}`)];
  return svg("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": last ? `${label}: ${percent(last.accuracy)} with ${last.labels} labels, from ${percent(steps[0].accuracy)} with ${steps[0].labels}` : label },
    ...ticks.flatMap(tick => [
      svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }),
      svg("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, `${Math.round(tick * 100)} %`)]),
    goal !== null && svg("line", { class: "goal", x1: LEFT, x2: WIDTH - RIGHT, y1: y(goal), y2: y(goal) }),
    steps.length > 1 && svg("polygon", { class: "around", points: around.join(" ") }),
    steps.length > 1 && svg("polyline", { class: "line", points: steps.map(step => `${x(step.labels)},${y(step.accuracy)}`).join(" ") }),
    ...steps.map(step => svg("circle", { class: "point", r: steps.length > 40 ? 1.5 : 3, cx: x(step.labels), cy: y(step.accuracy) })),
    svg("text", { x: LEFT, y: HEIGHT - 12 }, first.toLocaleString("en")),
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 12, "text-anchor": "end" }, most.toLocaleString("en")),
    svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 12, "text-anchor": "middle" }, "labels"));
}
