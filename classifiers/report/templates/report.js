"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// The board: sorted by a click on a column's name, filtered by words and by choice.
const board = document.querySelector(".board"), rows = [...board.tBodies[0].rows].filter(row => row.cells.length > 1);
const valueOf = (row, column) => row.cells[column].dataset.value;
const isNumber = text => text !== "" && !isNaN(text);
const compare = (a, b) => isNumber(a) && isNumber(b) ? a - b : isNumber(b) - isNumber(a) || a.localeCompare(b);

for (const button of all("th button", board)) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), column = head.cellIndex;
    const first = head.classList.contains("number") || column === 2 ? "descending" : "ascending";
    const order = head.ariaSort !== first ? first : first === "descending" ? "ascending" : "descending";
    for (const each of head.parentElement.cells) each.ariaSort = "none";
    head.ariaSort = order;
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column)));
    board.tBodies[0].append(...rows);
  });
}

const filter = document.querySelector(".filter"), count = filter.querySelector("output");
const narrow = () => {
  const words = filter.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = all("select", filter).filter(select => select.value);
  let left = 0;
  for (const row of rows) {
    const text = [0, 1, 9].map(column => valueOf(row, column)).join(" ").toLowerCase();
    const fits = words.every(word => text.includes(word))
      && chosen.every(select => valueOf(row, select.dataset.column) === select.value);
    row.hidden = !fits;
    left += fits;
  }
  count.textContent = left === rows.length ? "" : `${left} of ${rows.length} rows`;
};
filter.hidden = rows.length < 2;
filter.addEventListener("input", narrow);
narrow();

// Sections open when they are linked to, and all for printing.
const opened = () => {
  const place = location.hash && document.getElementById(location.hash.slice(1));
  if (!place) return;
  const section = place.closest("details.scheme");
  if (section) section.open = true;
  place.scrollIntoView();
};
addEventListener("hashchange", opened);
opened();
addEventListener("beforeprint", () => { for (const one of all("details.scheme")) one.open = true; });

// The maps: each is drawn when it is first seen, and again when its size, the theme or a class changes.
const numbers = text => new Uint16Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
const data = id => JSON.parse(document.getElementById(id).textContent);
const spaces = data("maps").map(one => ({ places: numbers(one.places), tiles: numbers(one.tiles) }));
const keys = data("keys");
const shapes = all("defs path").map(path => new Path2D(path.getAttribute("d")));
const FULL = 65535, COLOURED = 20, EDGE = 14, NEAR = 16, TILE = 96, ROW = 10;

class Map2D {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.tip = root.querySelector(".tip");
    this.live = root.querySelector("[aria-live]");
    this.space = spaces[root.dataset.map];
    this.codes = numbers(root.dataset.codes);
    this.names = JSON.parse(root.dataset.names);
    this.wrong = JSON.parse(root.dataset.wrong);
    this.hiddenClasses = new Set();
    this.current = -1;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.canvas.addEventListener("pointermove", event => this.point(event));
    this.canvas.addEventListener("pointerdown", event => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.show(-1));
    root.addEventListener("keydown", event => this.key(event));
    root.addEventListener("focus", () => { if (root.matches(":focus-visible")) this.show(this.current < 0 ? this.first() : this.current, true); });
    root.addEventListener("blur", () => this.show(-1));
    for (const button of all("[data-class]", root.nextElementSibling)) button.addEventListener("click", () => this.toggle(button));
  }

  group(i) { return this.codes[i] < COLOURED ? String(this.codes[i]) : "other"; }
  seen(i) { return this.codes[i] !== FULL && !this.hiddenClasses.has(this.group(i)); }
  first() { return this.codes.findIndex((_, i) => this.seen(i)); }

  toggle(button) {
    const on = button.getAttribute("aria-pressed") !== "true", name = button.dataset.class;
    button.setAttribute("aria-pressed", on);
    if (on) this.hiddenClasses.delete(name); else this.hiddenClasses.add(name);
    this.draw();
  }

  place(i) {
    const { places } = this.space;
    return [EDGE + places[2 * i] / FULL * (this.width - 2 * EDGE), this.height - EDGE - places[2 * i + 1] / FULL * (this.height - 2 * EDGE)];
  }

  draw() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    if (!this.width) return;
    const ratio = devicePixelRatio || 1, size = this.codes.length > 700 ? .75 : 1;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(this.root);
    const colours = [0, 1, 2, 3, 4, 5, 6, 7].map(n => style.getPropertyValue(`--c${n}`));
    const ink = style.getPropertyValue("--ink");
    for (let i = 0; i < this.codes.length; i++) {
      if (!this.seen(i)) continue;
      const [x, y] = this.place(i), code = this.codes[i], plain = code >= COLOURED;
      const scale = ratio * (plain ? size * .5 : size);
      pen.setTransform(scale, 0, 0, scale, x * ratio, y * ratio);
      pen.globalAlpha = .8;
      pen.fillStyle = colours[plain ? 6 : code % 8];
      pen.fill(shapes[plain ? 0 : (code + Math.floor(code / 8) * 3) % 8]);
      if (i in this.wrong || i === this.current) {
        pen.globalAlpha = 1;
        pen.strokeStyle = ink;
        pen.lineWidth = i === this.current ? 2.5 : 1.2;
        pen.beginPath();
        pen.arc(0, 0, i === this.current ? 12 : 8.5, 0, 7);
        pen.stroke();
      }
    }
  }

  point(event) {
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < this.codes.length; i++) {
      if (!this.seen(i)) continue;
      const [x, y] = this.place(i), far = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    this.show(best);
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") this.show(-1);
    if (!way) return;
    event.preventDefault();
    this.show(this.current < 0 ? this.first() : this.towards(...way), true);
  }

  // The nearest image that lies more that way than aside.
  towards(right, down) {
    const [x0, y0] = this.place(this.current);
    let best = this.current, least = Infinity;
    for (let i = 0; i < this.codes.length; i++) {
      if (!this.seen(i) || i === this.current) continue;
      const [x, y] = this.place(i), along = (x - x0) * right + (y - y0) * down, aside = Math.abs((x - x0) * down) + Math.abs((y - y0) * right);
      if (along > 0 && aside <= along && along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
    }
    return best;
  }

  show(i, say = false) {
    if (i === this.current && !this.tip.hidden === i >= 0) return;
    this.current = i;
    this.tip.hidden = i < 0;
    this.draw();
    if (i < 0) return;
    const tile = this.space.tiles[i], picture = this.tip.querySelector(".tile"), within = tile % (ROW * ROW);
    picture.className = `tile sheet${Math.floor(tile / ROW / ROW)}`;
    picture.style.backgroundPosition = `${-(within % ROW) * TILE}px ${-Math.floor(within / ROW) * TILE}px`;
    const label = this.names[this.codes[i]], said = this.wrong[i];
    const words = `${label}${said === undefined ? "" : `, labelled ${said}`}`;
    this.tip.querySelector(".words").textContent = `${words} · ${keys[tile]}`;
    if (say) this.live.textContent = `${words}, ${keys[tile]}`;
    const [x, y] = this.place(i), wide = this.tip.offsetWidth, tall = this.tip.offsetHeight;
    this.tip.style.left = `${Math.max(0, Math.min(x + EDGE + wide > this.width ? x - wide - EDGE : x + EDGE, this.width - wide))}px`;
    this.tip.style.top = `${Math.max(0, Math.min(y - tall / 2, this.height - tall))}px`;
  }
}
for (const root of all(".map")) new Map2D(root);
