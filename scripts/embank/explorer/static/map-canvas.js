// All images as points, those alike close together: drag a loop round some to select them; arrows go from point to point.
// @ts-check
import { h } from "./dom.js";
import { colourOf, SHAPES } from "./hues.js";
import { colours } from "./theme.js";

/** @typedef {{ids: number[], x: number[], y: number[]}} Places  x and y are 0 to 1, from the left and from below */

const EDGE = 14, NEAR = 14, SLIP = 6; // pixels; a drag no longer than SLIP is a click
const HUES = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];

const paths = SHAPES.map(shape => new Path2D(shape));

export class MapCanvas {
  /** @param {{selection: import("./selection.js").Selection, hover: (id: number | null, x: number, y: number) => void, lassoed: (count: number) => void}} acts */
  constructor({ selection, hover, lassoed }) {
    this.selection = selection;
    this.hover = hover;
    this.lassoed = lassoed;
    /** @type {Places} */
    this.places = { ids: [], x: [], y: [] };
    /** @type {Int32Array | number[]} */
    this.codes = [];
    /** @type {number[]} */
    this.hues = []; // of each code
    /** @type {Set<number>} */
    this.shut = new Set();
    /** @type {[number, number][]} */
    this.loop = [];
    this.current = -1; // the point that the keyboard stands on, or that is beneath the pointer
    this.waiting = false;
    this.adding = false; // whether a loop adds to what is selected, as it does with Shift
    this.canvas = h("canvas", {});
    this.root = h("div.map", { role: "application", tabindex: 0, "aria-roledescription": "map of the images",
      "aria-label": "Map of the images. Arrows go to the next image that way, Space selects it. To select many by keyboard, filter by an expression under Images and select all.",
      on: {
        pointerdown: (/** @type {PointerEvent} */ event) => this.down(event),
        pointermove: (/** @type {PointerEvent} */ event) => this.move(event),
        pointerup: (/** @type {PointerEvent} */ event) => this.up(event),
        pointercancel: () => { this.loop = []; this.draw(); },
        pointerleave: (/** @type {PointerEvent} */ event) => { if (!this.loop.length && event.pointerType !== "touch") hover(null, 0, 0); },
        keydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
        blur: () => hover(null, 0, 0),
      } }, this.canvas);
    new ResizeObserver(() => this.draw()).observe(this.root);
    selection.addEventListener("change", () => this.draw());
  }

  /** @param {number} i @returns {[number, number]} */
  place(i) {
    return [EDGE + this.places.x[i] * (this.width - 2 * EDGE), this.height - EDGE - this.places.y[i] * (this.height - 2 * EDGE)];
  }

  get width() { return this.canvas.clientWidth; }
  get height() { return this.canvas.clientHeight; }
  /** @param {number} i */
  seen(i) { return !this.shut.has(this.codes[i]); }

  draw() {
    if (this.waiting || !this.width) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paint(); });
  }

  paint() {
    const ratio = devicePixelRatio || 1, { width, height } = this;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    const [ink, accent, quiet, ...hues] = colours(["--ink", "--accent", "--quiet", ...HUES]);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const n = this.places.ids.length, radius = n > 4000 ? 2.2 : n > 1000 ? 3 : 4.2;
    for (const selected of [false, true]) for (let i = 0; i < n; i++) {
      if (!this.seen(i) || this.selection.has(this.places.ids[i]) !== selected) continue;
      const code = this.codes[i], [x, y] = this.place(i);
      const hue = code < 0 ? code : this.hues[code] ?? code, scale = ratio * radius / 4 * (code < 0 ? .7 : 1);
      pen.setTransform(scale, 0, 0, scale, x * ratio - 5 * scale, y * ratio - 5 * scale);
      pen.globalAlpha = selected ? 1 : .75;
      pen.fillStyle = code < 0 ? quiet : hues[colourOf(hue)];
      pen.fill(paths[hue < 0 ? 0 : Math.floor(hue / HUES.length) % paths.length]);
      pen.setTransform(ratio, 0, 0, ratio, x * ratio, y * ratio);
      if (selected || i === this.current) {
        pen.globalAlpha = 1;
        pen.strokeStyle = ink;
        pen.lineWidth = i === this.current ? 2.5 : 1.4;
        pen.beginPath();
        pen.arc(0, 0, radius + (i === this.current ? 6 : 2.2), 0, 7);
        pen.stroke();
      }
    }
    if (this.loop.length > 1) {
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.globalAlpha = 1;
      pen.beginPath();
      this.loop.forEach(([x, y], i) => i ? pen.lineTo(x, y) : pen.moveTo(x, y));
      pen.closePath();
      pen.strokeStyle = accent;
      pen.lineWidth = 2;
      pen.setLineDash([5, 4]);
      pen.stroke();
      pen.setLineDash([]);
      pen.globalAlpha = .12;
      pen.fillStyle = accent;
      pen.fill();
    }
  }

  /** @param {number} x @param {number} y */
  nearest(x, y) {
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < this.places.ids.length; i++) {
      if (!this.seen(i)) continue;
      const [px, py] = this.place(i), far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  }

  /** @param {number} i */
  point(i) {
    this.current = i;
    if (i < 0) this.hover(null, 0, 0);
    else this.hover(this.places.ids[i], ...this.place(i));
    this.draw();
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button || !event.isPrimary) return;
    this.loop = [this.at(event)];
    this.root.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!event.isPrimary) return;
    const [x, y] = this.at(event);
    if (!this.loop.length) return this.point(this.nearest(x, y));
    this.loop.push([x, y]);
    return this.draw();
  }

  /** @param {PointerEvent} event */
  up(event) {
    const loop = this.loop, add = event.shiftKey || this.adding ? this.selection.ids : [];
    if (!loop.length || !event.isPrimary) return;
    this.loop = [];
    if (!loop.some(([x, y]) => Math.hypot(x - loop[0][0], y - loop[0][1]) > SLIP)) {
      const hit = this.nearest(...this.at(event));
      if (hit >= 0) this.selection.toggle(this.places.ids[hit]);
      if (event.pointerType === "touch") this.point(hit); // a finger does not hover
    } else {
      const inside = this.places.ids.filter((_, i) => this.seen(i) && within(loop, ...this.place(i)));
      this.selection.set([...add, ...inside]);
      this.lassoed(inside.length);
    }
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    /** @type {Record<string, [number, number]>} */
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way && this.places.ids.length) this.point(this.current < 0 ? 0 : this.towards(...way));
    else if (event.key === " " && this.current >= 0) this.selection.toggle(this.places.ids[this.current]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The nearest point that lies more that way than aside. @param {number} right @param {number} down */
  towards(right, down) {
    const [x0, y0] = this.place(this.current);
    let best = this.current, least = Infinity;
    for (let i = 0; i < this.places.ids.length; i++) {
      if (i === this.current || !this.seen(i)) continue;
      const [x, y] = this.place(i), along = (x - x0) * right + (y - y0) * down, aside = Math.abs((x - x0) * down) + Math.abs((y - y0) * right);
      const far = along + 2 * aside;
      if (along > 0 && aside <= along && far < least) [best, least] = [i, far];
    }
    return best;
  }
}

/** Whether a point lies inside a loop (even-odd rule). @param {[number, number][]} loop @param {number} x @param {number} y */
export function within(loop, x, y) {
  let inside = false;
  for (let i = 0, j = loop.length - 1; i < loop.length; j = i++) {
    const [xi, yi] = loop[i], [xj, yj] = loop[j];
    if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}
