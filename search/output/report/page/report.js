// Names the mark under the pointer, sorts and filters the table of trials, and unfolds what is folded for the printer.
// The page says everything without it.
"use strict";
const tip = document.getElementById("tip");
const MARK = 'svg [role="graphics-symbol"][aria-label]:not([aria-roledescription="axis"]):not([aria-roledescription="legend"])';

function point(event) {
  const mark = event.target instanceof Element ? event.target.closest(MARK) : null;
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.getAttribute("aria-label");
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = Math.max(8, Math.min(event.clientX + 12, room)) + "px";
  tip.style.top = event.clientY + 16 + "px";
}
document.addEventListener("pointermove", point);
document.addEventListener("pointerdown", point);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

const table = document.getElementById("table"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
const form = document.getElementById("filter"), order = document.getElementById("order");
const words = document.getElementById("words"), state = document.getElementById("state");
const purpose = document.getElementById("purpose"), shown = document.getElementById("shown");
const rows = [...body.rows].map((row) => ({ row, cells: [...row.cells], text: row.textContent.toLowerCase() }));

// Numbers by their value, largest first at first, and rows without one last; texts by the alphabet.
function sort(column, descending) {
  const isNumber = heads[column].classList.contains("n"), sign = descending ? -1 : 1;
  const key = (one) => isNumber ? parseFloat(one.cells[column].dataset.v ?? "NaN") : one.cells[column].textContent;
  const keyed = rows.map((one) => [key(one), one.row]);
  keyed.sort(([a], [b]) => {
    if (!isNumber) return sign * a.localeCompare(b);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  });
  body.append(...keyed.map(([, row]) => row));
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  order.value = `${column} ${Number(descending)}`;
}

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const { row, cells, text } of rows) {
    const fits = (select, cell) => !select.value || cells[cell].textContent === select.value;
    row.hidden = !(wanted.every((word) => text.includes(word)) && fits(purpose, 1) && fits(state, 3));
    count += !row.hidden;
  }
  shown.textContent = `${count} of ${rows.length} trials`;
}

heads.forEach((head, column) => {
  const button = document.createElement("button"), isNumber = head.classList.contains("n");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    sort(column, now ? now === "ascending" : isNumber);
  });
  for (const descending of isNumber ? [true, false] : [false, true]) {
    const name = button.textContent + (isNumber ? (descending ? ", largest first" : ", smallest first") : (descending ? ", Z to A" : ""));
    order.append(new Option(name, `${column} ${Number(descending)}`));
  }
});
order.addEventListener("change", () => { const [column, descending] = order.value.split(" ").map(Number); sort(column, descending === 1); });
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
filter();

function unfold() {
  const named = document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) named.open = true;
}
addEventListener("hashchange", unfold);
unfold();

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open]):not(.long)")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
