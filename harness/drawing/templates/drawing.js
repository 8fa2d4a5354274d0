"use strict";

// The boxes of the objects that met a condition are emphasized while the pointer is on the condition.
function emphasize(drawn, node) {
  for (const mark of drawn.querySelectorAll(".mark")) {
    mark.classList.toggle("dimmed", node !== undefined && !mark.dataset.nodes.split(" ").includes(node));
  }
}

for (const drawn of document.querySelectorAll("[data-drawn]")) {
  drawn.addEventListener("pointerover", (event) => {
    const row = event.target.closest(".tree .row");
    emphasize(drawn, row && row.matches(".gold") ? row.dataset.node : undefined);
  });
  drawn.addEventListener("pointerleave", () => emphasize(drawn));
}
