"use strict";

// Sorts and filters the entries, and selects two to compare. The address contains the sorting and the filter, so a view can be shared.
const table = document.getElementById("table");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const name = (head) => head.querySelector(".sort")?.dataset.name ?? "";
  const text = document.getElementById("text");
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
  const submit = document.getElementById("compare");
  const names = rows.map((row) => row.cells[heads.findIndex((h) => name(h) === "model")].textContent.toLowerCase());
  let sorted = { name: "", down: false };

  function compare(a, b) {
    const [x, y] = [a.dataset.v, b.dataset.v];
    if (x === undefined && y === undefined) return a.textContent.localeCompare(b.textContent);
    // Rows without a value come last in both directions.
    if (x === undefined || y === undefined) return (x === undefined) === sorted.down ? -1 : 1;
    return x - y;
  }

  function sort() {
    // If no column is selected, keep the order of the ranks.
    const index = sorted.name ? heads.findIndex((head) => name(head) === sorted.name) : -1;
    for (const head of heads) head.removeAttribute("aria-sort");
    const order = [...rows];
    if (index >= 0) {
      heads[index].setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      order.sort((a, b) => compare(a.cells[index], b.cells[index]) * (sorted.down ? -1 : 1));
    }
    body.append(...order);
  }

  function filter() {
    const pattern = text.value.trim().toLowerCase();
    rows.forEach((row, index) => { row.hidden = !names[index].includes(pattern); });
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
  }

  function updateSelection() {
    const selected = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = selected >= 2 && !box.checked;
    if (submit) submit.disabled = selected !== 2;
  }

  function saveToAddress() {
    const set = Object.entries({ sort: sorted.name, down: sorted.down ? "1" : "", text: text.value }).filter(([, v]) => v);
    history.replaceState(null, "", set.length ? "#" + new URLSearchParams(set) : location.pathname + location.search);
  }

  function loadFromAddress() {
    const settings = new URLSearchParams(location.hash.slice(1));
    sorted = { name: settings.get("sort") ?? "", down: settings.get("down") === "1" };
    text.value = settings.get("text") ?? "";
    sort();
    filter();
    updateSelection();
  }

  for (const head of heads) {
    head.querySelector(".sort")?.addEventListener("click", () => {
      const first = head.classList.contains("number") && name(head) !== "rank";
      sorted = { name: name(head), down: sorted.name === name(head) ? !sorted.down : first };
      sort();
      saveToAddress();
    });
  }
  text.addEventListener("input", () => { filter(); saveToAddress(); });
  for (const box of boxes) box.addEventListener("change", updateSelection);
  document.getElementById("entries").addEventListener("submit", (event) => { if (submit?.disabled ?? true) event.preventDefault(); });
  window.addEventListener("hashchange", loadFromAddress);
  loadFromAddress();
}
