// A class keeps its colour and shape while the others come and go.
// @ts-check
import { svg } from "./dom.js";

/** @type {Map<string, number>} */
const given = new Map();
const HUES = 8;
export const NO_CLASS = -1;

/** A number for a class: the colour is its rest by 8, the shape its eighths. @param {string} name */
export function hueOf(name) {
  const known = given.get(name);
  if (known !== undefined) return known;
  given.set(name, given.size);
  return given.size - 1;
}

/** A class that is renamed keeps its colour. @param {string} before @param {string} after */
export function passOn(before, after) { given.set(after, hueOf(before)); }

/** The shapes as drawn in a box of 10 × 10: circle, square, diamond, triangle. Eight colours tell no more than eight classes apart. */
export const SHAPES = ["M5 1a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", "M1.5 1.5h7v7h-7z", "M5 0l5 5-5 5-5-5z", "M5 1l4.5 7.5h-9z"];
/** @param {number} hue */
export const shapeOf = hue => SHAPES[hue < 0 ? 0 : Math.floor(hue / HUES) % SHAPES.length];
/** @param {number} hue */
export const colourOf = hue => hue < 0 ? 6 : hue % HUES;

/** A class's mark, as on the map. @param {number} hue */
export function mark(hue) {
  return svg("svg", { class: `swatch o${colourOf(hue)}`, viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("path", { d: shapeOf(hue) }));
}
