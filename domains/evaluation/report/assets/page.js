"use strict";
/* Page behaviour of the report: theme, sortable tables, switches. The three scripts page.js,
 * geometry.js and viewer.js are embedded as one, in this order. No library, no request. */
const root = document.documentElement;
const fail = (text) => { root.dataset.errors = `${root.dataset.errors || ""}${text}; `; };
addEventListener("error", (event) => fail(event.message));
addEventListener("securitypolicyviolation", (event) => fail(`blocked ${event.violatedDirective}`));

// ---------------------------------------------------------------- page
const store = (value) => {
  try {
    if (value === undefined) return localStorage.getItem("fewstep-theme");
    localStorage.setItem("fewstep-theme", value);
  } catch { /* a file:// page may have no storage: the choice then lasts for the visit */ }
  return null;
};
const isDark = () => (root.dataset.theme
  ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
const saved = store();
if (saved === "dark" || saved === "light") root.dataset.theme = saved;

const sortTable = (table, column, button) => {
  const head = button.closest("th");
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const body = table.tBodies[0];
  [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // n/a stays last both ways
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -order : order;
  }).forEach((row) => body.append(row));
};
document.querySelectorAll("table.sortable").forEach((table) => {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sortTable(table, column, button));
  });
});
document.querySelectorAll("[data-toggle]").forEach((button) => {
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    button.closest("section").querySelectorAll(`.k${button.dataset.toggle}`)
      .forEach((mark) => mark.classList.toggle("off", !on));
  });
});
document.querySelectorAll("[data-view]").forEach((button) => {
  button.addEventListener("click", () => {
    const section = button.closest("section");
    section.dataset.shown = button.dataset.view;
    section.querySelectorAll("[data-view]").forEach((other) =>
      other.setAttribute("aria-pressed", other === button));
  });
});
