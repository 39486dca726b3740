#include "src/report/difference_page.h"

namespace ferry::report {

// Comfort, not content: without it everything on the page is still there to be read.
const std::string_view kPageScript = R"js("use strict";
for (const section of document.querySelectorAll(".tensors")) {
  const body = section.querySelector("tbody");
  const rows = [...body.rows];
  const heads = [...section.querySelectorAll("thead th")];
  const find = section.querySelector(".find"), choice = section.querySelector(".sort");
  const equal = section.querySelector(".show-equal"), found = section.querySelector(".found");
  const keys = new Map(rows.map((row, i) => [row, { worst: i, of: row.dataset.v.split("|") }]));
  let column = -1, down = true;

  function value(row) {
    const text = keys.get(row).of[column];
    return text === undefined || text === "" ? null : text === "inf" ? Infinity : Number(text);
  }
  function sort(next, descending) {
    column = next;
    down = descending;
    const sorted = [...rows].sort((a, b) => {
      const before = keys.get(a).worst - keys.get(b).worst;
      if (column < 0) return before;
      const x = value(a), y = value(b);
      if (x === y) return before;
      if (x === null || y === null) return x === null ? 1 : -1;
      return (x < y ? -1 : 1) * (down ? -1 : 1);
    });
    body.append(...sorted);
    filter();
    choice.value = column < 0 ? "" : String(column);
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  // Names count upwards first, and so do cosine and SNR, where small is bad.
  const firstDown = (i) => ![0, 7, 8].includes(i);
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(i, i === column ? !down : firstDown(i)));
    head.replaceChildren(button);
  });
  choice.addEventListener("change", () => {
    const i = choice.value === "" ? -1 : Number(choice.value);
    sort(i, firstDown(i));
  });

  // Long tables begin short; the button below shows the rest.
  const step = 25, more = document.createElement("button");
  let most = step;
  more.type = "button";
  more.className = "more";
  section.querySelector(".table").append(more);
  function filter() {
    const part = find.value.trim().toLowerCase();
    let fits = 0;
    for (const row of body.rows) {
      const wanted = (!row.classList.contains("equal") || (equal && equal.checked)) &&
        (part === "" || row.cells[0].textContent.toLowerCase().includes(part));
      fits += wanted;
      row.hidden = !wanted || fits > most;
    }
    found.textContent = fits.toLocaleString("en") + (fits === 1 ? " row" : " rows");
    more.hidden = fits <= most;
    more.textContent = "Show all " + fits.toLocaleString("en") + " rows";
  }
  section.addEventListener("ferry:all", () => { find.value = ""; most = Infinity; filter(); });
  more.addEventListener("click", () => { most = Infinity; filter(); });
  find.addEventListener("input", filter);
  if (equal) equal.addEventListener("change", filter);
  filter();
}

// A row that is linked to is shown, whatever was filtered.
function reveal() {
  const row = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const section = row && row.closest(".tensors");
  if (!section || !row.hidden) return;
  section.dispatchEvent(new Event("ferry:all"));
  row.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

// What marks are called appears at once, beside the pointer or the focus.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
function tell(mark) {
  const text = mark.dataset.tip, colon = text.lastIndexOf(": ");
  const name = document.createElement("b");
  name.textContent = colon < 0 ? text : text.slice(0, colon);
  tip.replaceChildren(name, colon < 0 ? "" : text.slice(colon + 2));
  tip.hidden = false;
  const at = mark.getBoundingClientRect(), size = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(at.left + at.width / 2 - size.width / 2, innerWidth - size.width - 8)) + "px";
  tip.style.top = (at.top > size.height + 14 ? at.top - size.height - 8 : at.bottom + 8) + "px";
}
const tips = new Map();
for (const title of document.querySelectorAll(".marks title")) {
  const mark = title.closest("a") || title.parentNode;
  mark.dataset.tip = title.textContent;
  mark.setAttribute("aria-label", title.textContent);
  tips.set(mark.getAttribute("href"), title.textContent);
  title.remove();
}
for (const cell of document.querySelectorAll(".strips [title]")) {
  cell.dataset.tip = cell.title;
  cell.removeAttribute("title");
}
// Marks of one tensor in other pictures lead to the same row.
for (const mark of document.querySelectorAll(".marks a:not([data-tip]), .strips a:not([data-tip])")) {
  const tip = tips.get(mark.getAttribute("href"));
  if (!tip) continue;
  mark.dataset.tip = tip;
  if (mark.closest(".marks")) mark.setAttribute("aria-label", tip);
}
for (const kind of ["pointerover", "focusin"])
  document.addEventListener(kind, (event) => {
    const mark = event.target.closest && event.target.closest("[data-tip]");
    if (mark) tell(mark);
    else tip.hidden = true;
  });
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

// A plot is one stop of the tabulator; arrows walk along its marks.
for (const group of document.querySelectorAll(".marks")) {
  const marks = [...group.querySelectorAll("a")];
  if (marks.length > 0) marks[0].setAttribute("tabindex", "0");
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    const at = marks.indexOf(document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const next = marks[Math.max(0, Math.min(marks.length - 1, at + step))];
    marks[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const section of document.querySelectorAll(".tensors")) section.dispatchEvent(new Event("ferry:all"));
});
)js";

}  // namespace ferry::report
