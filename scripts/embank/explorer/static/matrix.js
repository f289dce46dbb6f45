// The confusion matrix: rows are what images are, columns what they are taken for. A cell opens its images.
// @ts-check
import { counted, h, percent } from "./dom.js";

const NUMBERS = 12; // classes up to which the numbers fit beside the views

/** @typedef {{names: string[], counts?: number[][], pairs?: {truth: number, predicted: number, count: number}[]}} Confusion  `pairs` where there are too many classes for `counts` */

/**
 * @param {Confusion} confusion @param {(truth: number, guess: number) => void} open
 * @param {{large?: boolean}} [how] large: in a dialog, with all numbers
 */
export function matrix(confusion, open, { large = false } = {}) {
  const { names, counts } = confusion;
  if (!counts) return list(confusion, open);
  const roomy = large || names.length <= NUMBERS;
  const rows = counts.map((row, truth) => {
    const all = row.reduce((sum, n) => sum + n, 0) || 1;
    return h("tr", {}, h("th", { scope: "row", title: names[truth] }, names[truth]), ...row.map((n, guess) => h("td", {}, h(
      `button.${truth === guess ? "hit" : "miss"}.s${n ? Math.max(1, Math.round(Math.sqrt(n / all) * 10)) : 0}`,
      { type: "button", tabindex: -1, "data-row": truth, "data-column": guess, title: told(names, truth, guess, n, n / all), "aria-label": told(names, truth, guess, n, n / all) },
      n && roomy ? n.toLocaleString("en") : ""))));
  });
  const table = h(`table.matrix${roomy ? ".roomy" : ".plain"}`, { role: "grid", "aria-label": "Confusion matrix: rows are labels, columns are predictions" },
    h("thead", {}, h("tr", {}, h("td", {}), ...names.map(name => h("th", { scope: "col", title: name }, h("span", {}, name))))),
    h("tbody", {}, ...rows));
  const cells = /** @type {HTMLButtonElement[]} */ ([...table.querySelectorAll("td button")]);
  if (cells.length) cells[0].tabIndex = 0;
  const at = (/** @type {number} */ row, /** @type {number} */ column) => cells[row * names.length + column];
  table.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const cell = event.target instanceof Element ? event.target.closest("button") : null;
    if (!cell) return;
    stand(cell);
    open(Number(cell.dataset.row), Number(cell.dataset.column));
  });
  /** @param {HTMLButtonElement} cell */
  const stand = cell => {
    for (const each of cells) each.tabIndex = each === cell ? 0 : -1;
  };
  table.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const cell = event.target instanceof HTMLButtonElement ? event.target : null;
    if (!cell) return;
    const row = Number(cell.dataset.row), column = Number(cell.dataset.column), last = names.length - 1;
    /** @type {Record<string, [number, number]>} */
    const ways = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], Home: [row, 0], End: [row, last] };
    const way = ways[event.key], next = way && way[0] >= 0 && way[0] <= last && way[1] >= 0 && way[1] <= last ? at(...way) : undefined;
    if (!way) return;
    event.preventDefault();
    if (!next) return;
    stand(next);
    next.focus();
  });
  return h("div.matrix-box", {}, table);
}

/** @param {string[]} names @param {number} truth @param {number} guess @param {number} n @param {number} share */
function told(names, truth, guess, n, share) {
  return truth === guess ? `${names[truth]}: ${n} right (${percent(share)})` : `${names[truth]} taken for ${names[guess]}: ${n} (${percent(share)})`;
}

/** Too many classes for a matrix: the pairs that are confused most. @param {Confusion} confusion @param {(truth: number, guess: number) => void} open */
function list({ names, pairs = [] }, open) {
  return h("div", {}, h("p.quiet.small", {}, `${names.length} classes are too many for a matrix. Confused most:`),
    h("ul.pairs", {}, ...pairs.map(({ truth, predicted, count }) => h("li", {}, h("button.plain", { type: "button", on: { click: () => open(truth, predicted) } },
      h("span", {}, `${names[truth]} taken for ${names[predicted]}`), h("span.number", {}, counted(count, "image")))))));
}
