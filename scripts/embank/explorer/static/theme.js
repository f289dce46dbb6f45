// Light or dark: as the system has it, until the reader chooses.
// @ts-check
import { one } from "./dom.js";

const KEPT = "embank-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light" | "dark"} */
function current() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
}

/** @param {() => void} changed  called after each change, for what is drawn on a canvas */
export function watchTheme(changed) {
  const button = one("#theme"), kept = localStorage.getItem(KEPT);
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  const name = () => {
    button.textContent = current() === "dark" ? "☀" : "☾";
    button.setAttribute("aria-label", current() === "dark" ? "Light colours" : "Dark colours");
    button.title = button.getAttribute("aria-label");
    changed();
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = current() === "dark" ? "light" : "dark";
    localStorage.setItem(KEPT, current());
    name();
  });
  dark.addEventListener("change", name);
  name();
}

/** What custom properties amount to now, as a canvas takes them. @param {string[]} names @returns {string[]} */
export function colours(names) {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = names.map(name => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}
