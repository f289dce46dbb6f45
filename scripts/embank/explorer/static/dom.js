// Elements from code. Styles go by classes: the page's policy refuses style attributes.
// @ts-check

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, any>} Options  attributes, and `on`: listeners by the event's name
 */

const SVG = "http://www.w3.org/2000/svg";

/** @param {Element} element @param {Options} options @param {Child[]} children */
function filled(element, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  return element;
}

/** An element. The name may carry classes: "div.card.wide". @param {string} name @param {Options} [options] @param {Child[]} children @returns {any} */
export function h(name, options = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  return filled(element, options, children);
}

/** An element of a drawing. @param {string} name @param {Options} [options] @param {Child[]} children @returns {any} */
export function svg(name, options = {}, ...children) {
  return filled(document.createElementNS(SVG, name), options, children);
}

/** The one element that a selector names. @param {string} selector @returns {any} */
export function one(selector) {
  const found = document.querySelector(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}

/** Moves focus to the first of a list that can take it. @param {(Element | null | undefined)[]} places */
export function focusFirst(...places) {
  for (const place of places) if (place instanceof HTMLElement && place.isConnected && !place.hidden) return place.focus();
}

/** Whether keys belong to what has the focus: text being typed or a choice being made. @param {EventTarget | null} target */
export function typing(target) {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea");
}

/** "1 image", "1,234 images". @param {number} n @param {string} noun @param {string} [many] */
export function counted(n, noun, many = `${noun}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? noun : many}`;
}

/** 0.8345 as "83.5 %", and exactly all as "100 %". @param {number | null | undefined} share */
export function percent(share) {
  return share === null || share === undefined ? "–" : share === 1 ? "100 %" : `${(share * 100).toFixed(1)} %`;
}

/** A difference of shares as points: "+1.2", "−0.4", "0.0". @param {number} difference */
export function points(difference) {
  const text = Math.abs(difference * 100).toFixed(1);
  return Number(text) === 0 ? "0.0" : `${difference > 0 ? "+" : "−"}${text}`;
}
